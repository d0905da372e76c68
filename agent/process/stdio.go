package process

import (
	"io"
	"os"
)

// Stdio is the two ends of the three standard handles.
type Stdio struct {
	Child [3]*os.File
	Own   [3]Pipe
}

// Open makes pipes; without stdin, the program's is an end.
func (s *Stdio) Open(stdin bool) (err error) {
	defer func() {
		if err != nil {
			s.CloseChild()
			s.CloseOwn()
		}
	}()
	if !stdin {
		s.Child[0], err = openNull()
	} else {
		s.Own[0], s.Child[0], err = inputPipe()
	}
	for i := 1; i <= 2 && err == nil; i++ {
		s.Own[i], s.Child[i], err = outputPipe()
	}
	return err
}

// CloseChild closes the program's ends, which it has inherited. Idempotent.
func (s *Stdio) CloseChild() { closeAll(&s.Child) }

// CloseOwn closes the agent's ends. Idempotent.
func (s *Stdio) CloseOwn() { closeAll(&s.Own) }

func closeAll[F interface {
	comparable
	io.Closer
}](files *[3]F) {
	var none F
	for i, f := range files {
		if f != none {
			f.Close()
			files[i] = none
		}
	}
}
