package process

import (
	"os"
	"sync"
	"sync/atomic"

	"linwin/agent/wire"
)

// Process is one process that the host asked for.
type Process struct {
	id             string
	Stdin          *Input // nil when it was started without
	Stdout, Stderr *Output

	started bool // guarded by the table's lock
	job     Job
	stdin   *os.File
	done    chan struct{}
	exit    wire.Exit
}

func newProcess(spec wire.Exec) *Process {
	p := &Process{id: spec.Process, Stdout: newOutput(), Stderr: newOutput(), done: make(chan struct{})}
	if spec.Streams.Stdin != 0 {
		p.Stdin = newInput()
	}
	return p
}

// Done is closed when the process has ended and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit tells how the process ended; it may be called once Done is closed.
func (p *Process) Exit() wire.Exit { return p.exit }

// Signal sends TERM, KILL, INT or BREAK. A process that has ended takes none.
func (p *Process) Signal(name string) error {
	select {
	case <-p.done:
		return nil
	default:
		return p.job.Signal(name)
	}
}

// Detach ends a session's part in all streams.
func (p *Process) Detach() {
	if p.Stdin != nil {
		p.Stdin.Detach()
	}
	p.Stdout.Detach()
	p.Stderr.Detach()
}

func (p *Process) settled() bool {
	select {
	case <-p.done:
		return p.Stdout.Settled() && p.Stderr.Settled()
	default:
		return false
	}
}

// start runs the program with pipes for its standard handles.
func (p *Process) start(kind Kind, spec wire.Exec) error {
	if holder, ok := kind.(Holder); ok {
		if held := holder.Take(); held != nil {
			return p.begin(held.Stdio(), func() (Job, error) { return held.Start(spec) })
		}
	}
	files := &Stdio{}
	if err := files.Open(p.Stdin != nil); err != nil {
		return err
	}
	return p.begin(files, func() (Job, error) {
		return kind.Start(spec, files.Child[0], files.Child[1], files.Child[2])
	})
}

// begin starts the program behind the handles and moves its streams.
func (p *Process) begin(files *Stdio, start func() (Job, error)) error {
	job, err := start()
	files.CloseChild()
	if err != nil {
		files.CloseOwn()
		return err
	}
	p.job = job
	if p.Stdin != nil {
		p.stdin = files.Own[0]
		go p.Stdin.pump(p.stdin)
	} else if files.Own[0] != nil {
		files.Own[0].Close()
	}
	go p.follow(newTap(files.Own[1], p.Stdout), newTap(files.Own[2], p.Stderr))
	return nil
}

// follow waits for the job's end and completes the output. Strays outside the
// job may hold the pipes open for ever, so their end is not waited for.
func (p *Process) follow(stdout, stderr *tap) {
	code := p.job.Wait()
	if p.Stdin != nil {
		p.Stdin.abandon()
		p.stdin.Close() // wakes a pump that writes to a stray
	}
	stdout.finish()
	stderr.finish()
	p.exit = wire.Exit{ExitCode: code, Stdout: p.Stdout.end(), Stderr: p.Stderr.end()}
	close(p.done)
}

// Stdio is the two ends of the three standard handles.
type Stdio struct{ Child, Own [3]*os.File }

// Open makes pipes; without stdin, the program's is an end.
func (s *Stdio) Open(stdin bool) (err error) {
	defer func() {
		if err != nil {
			s.CloseChild()
			s.CloseOwn()
		}
	}()
	if !stdin {
		if s.Child[0], err = os.Open(os.DevNull); err != nil {
			return err
		}
	} else if s.Child[0], s.Own[0], err = os.Pipe(); err != nil {
		return err
	}
	for i := 1; i <= 2; i++ {
		if s.Own[i], s.Child[i], err = os.Pipe(); err != nil {
			return err
		}
	}
	return nil
}

// CloseChild closes the program's ends, which it has inherited. Idempotent.
func (s *Stdio) CloseChild() { closeAll(&s.Child) }

// CloseOwn closes the agent's ends. Idempotent.
func (s *Stdio) CloseOwn() { closeAll(&s.Own) }

func closeAll(files *[3]*os.File) {
	for i, f := range files {
		if f != nil {
			f.Close()
			files[i] = nil
		}
	}
}

// tap moves what a pipe brings into an Output.
type tap struct {
	pipe     *os.File
	output   *Output
	stopping atomic.Bool
	stopped  sync.WaitGroup
}

const tapSize = 64 << 10

func newTap(pipe *os.File, output *Output) *tap {
	t := &tap{pipe: pipe, output: output}
	t.stopped.Add(1)
	go t.run()
	return t
}

func (t *tap) run() {
	defer t.stopped.Done()
	buffer := make([]byte, tapSize)
	for !t.stopping.Load() {
		n, err := t.pipe.Read(buffer)
		if n > 0 {
			t.output.append(buffer[:n])
		}
		if err != nil {
			// The end, a closed pipe, or the deadline that finish sets.
			return
		}
	}
}

// finish takes what is in the pipe now and closes it.
func (t *tap) finish() {
	t.output.hurry()
	t.stopping.Store(true)
	interrupt(t.pipe)
	t.stopped.Wait()
	drain(t.pipe, t.output)
	t.pipe.Close()
}
