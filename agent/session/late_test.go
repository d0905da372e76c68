//go:build unix

package session

import (
	"errors"
	"os"
	"testing"

	"linwin/agent/frame"
	"linwin/agent/process"
	"linwin/agent/wire"
)

// slow is a Kind whose programs take as long to start as the test wants.
type slow struct {
	printer
	starting chan struct{}
	start    chan struct{}
}

func (s slow) Start(spec wire.Exec, stdin, stdout, stderr *os.File) (process.Job, error) {
	s.starting <- struct{}{}
	<-s.start
	return s.printer.Start(spec, stdin, stdout, stderr)
}

func TestAProcessWhoseSessionEndedWhileItStartedIsAdopted(t *testing.T) {
	kind := slow{printer{[]byte("text"), make(chan struct{})}, make(chan struct{}), make(chan struct{})}
	h := serve(t, kind)
	h.request(1, execute1)
	<-kind.starting
	h.hello("two")
	close(kind.start)
	adopt := `{"op":"adopt","process":"p","stdout":0,"stderr":0,"streams":{"stdout":8,"stderr":9,"window":100}}`
	for id := uint32(1); ; id++ {
		h.request(id, adopt)
		got, _ := h.response(id)
		if got.Error == nil {
			break
		}
		if got.Error.Kind != wire.NotFound { // it is being started
			t.Fatalf("adopt answered %v", got.Error)
		}
	}
}

func TestRequestsOfAnEndedSessionTouchNoArchiveOfTheNext(t *testing.T) {
	h := serve(t, printer{})
	late := call{id: 1, session: h.session(), payload: []byte(`{"op":"put","path":"","stream":5}`)}
	h.hello("two")
	h.request(1, `{"op":"put","path":"","stream":5}`)
	if f := h.next(); f.Type != frame.Credit {
		t.Fatalf("the agent sent %v, want credit", f)
	}
	for name, run := range map[string]operation{"put": put, "drop": drop, "get": get} {
		if _, err := run(h.server, late); !errors.Is(err, errOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.request(2, `{"op":"put","path":"","stream":5}`)
	if got, _ := h.response(2); got.Error == nil || got.Error.Message != errTaken.Message {
		t.Errorf("a second archive on a stream: %+v", got)
	}
	h.write(frame.AppendEOF(nil, 5, 0))
	if got, _ := h.response(1); got.Error != nil {
		t.Errorf("the archive on its way: %v", got.Error)
	}
}

// session is the number of the session that is open.
func (h *host) session() uint64 {
	h.server.mu.Lock()
	defer h.server.mu.Unlock()
	return h.server.number
}
