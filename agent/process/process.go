package process

import (
	"io"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"linwin/agent/wire"
)

// Process is one process that the host asked for.
type Process struct {
	id             string
	Stdin          *Input // nil when it was started without
	Stdout, Stderr *Output
	Transient      bool // of no use without the session that it was started in

	started  bool // guarded by the table's lock
	job      Job
	stdin    io.Closer
	terminal *terminal // nil when it was started without
	done     chan struct{}
	exit     wire.Exit
}

func newProcess(spec wire.Exec) *Process {
	p := &Process{
		id: spec.Process, Stdout: newOutput(), Stderr: newOutput(),
		Transient: spec.Transient, done: make(chan struct{}),
	}
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

// Abandon kills a process whose output nobody will ask for.
func (p *Process) Abandon() {
	p.Stdout.discard()
	p.Stderr.discard()
	if err := p.Signal("KILL"); err != nil {
		log.Printf("process %s: kill: %v", p.id, err)
	}
}

// Resize changes the size of the terminal. A process that has ended takes none.
func (p *Process) Resize(size wire.Size) error {
	if err := size.Check(); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	default:
	}
	if p.terminal == nil {
		return wire.Errorf(wire.Invalid, "process %s has no terminal", p.id)
	}
	if err := p.terminal.resize(size); err != nil {
		return err
	}
	if job, ok := p.job.(Resizer); ok {
		return job.Resize(size)
	}
	return nil
}

// detach ends a session's part in all streams.
func (p *Process) detach() {
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

// start runs the program with pipes, or a terminal, for its standard handles.
func (p *Process) start(kind Kind, spec wire.Exec) error {
	if holder, ok := kind.(Holder); ok && spec.Terminal == nil {
		if held := holder.Take(spec); held != nil {
			return p.begin(held.Stdio(), func() (Job, error) { return held.Start(spec) })
		}
	}
	files := &Stdio{}
	if err := p.open(files, spec.Terminal); err != nil {
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
		writer := io.WriteCloser(files.Own[0])
		if p.terminal != nil {
			writer = keyboard{files.Own[0]}
		}
		p.stdin = writer
		go p.Stdin.pump(writer)
	} else if p.terminal == nil && files.Own[0] != nil {
		files.Own[0].Close()
	}
	taps := []*tap{newTap(files.Own[1], p.Stdout)}
	if p.terminal == nil {
		taps = append(taps, newTap(files.Own[2], p.Stderr))
	}
	go p.follow(taps)
	return nil
}

// open makes the standard handles. A terminal is all three of them, and what is
// printed to it, whatever the handle, is stdout.
func (p *Process) open(files *Stdio, size *wire.Size) (err error) {
	if size == nil {
		return files.Open(p.Stdin != nil)
	}
	if err = size.Check(); err != nil {
		return err
	}
	p.terminal, err = openTerminal(*size, files)
	return err
}

// keyboard is where a terminal's input goes. Its end is no end of the terminal,
// which the program goes on printing to.
type keyboard struct{ pipe Pipe }

// Write implements io.Writer.
func (k keyboard) Write(p []byte) (int, error) { return k.pipe.Write(p) }

// Close wakes a Write that waits for a program that does not read.
func (k keyboard) Close() error { return k.pipe.SetWriteDeadline(time.Now()) }

// follow waits for the job's end and completes the output. Strays outside the
// job may hold the pipes open for ever, so their end is not waited for.
func (p *Process) follow(taps []*tap) {
	code := p.job.Wait()
	if p.Stdin != nil {
		p.Stdin.abandon()
		p.stdin.Close() // wakes a pump that writes to a stray
	}
	for _, t := range taps {
		t.finish()
	}
	if p.terminal != nil {
		p.terminal.close()
	}
	p.exit = wire.Exit{ExitCode: code, Stdout: p.Stdout.end(), Stderr: p.Stderr.end()}
	close(p.done)
}

// tap moves what a pipe brings into an Output.
type tap struct {
	pipe     Pipe
	output   *Output
	stopping atomic.Bool
	stopped  sync.WaitGroup
}

const tapSize = 64 << 10

func newTap(pipe Pipe, output *Output) *tap {
	t := &tap{pipe: pipe, output: output}
	t.stopped.Add(1)
	go t.run()
	return t
}

func (t *tap) run() {
	defer t.stopped.Done()
	receive := receiver(t.pipe, t.output)
	for !t.stopping.Load() {
		if receive() != nil {
			// The end (of a terminal: EIO), a closed pipe, or the deadline that finish sets.
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
