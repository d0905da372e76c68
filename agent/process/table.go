package process

import (
	"os"
	"sync"

	"linwin/agent/wire"
)

// MaxProcesses bounds the table. Ended processes whose output the host holds
// make room for new ones, oldest first.
const MaxProcesses = 256

// Job is a started program and everything it started in turn.
type Job interface {
	// Wait returns the main process's exit code, once that process has ended and
	// the rest of the job has been killed.
	Wait() uint32
	// Signal sends TERM, KILL, INT or BREAK.
	Signal(name string) error
}

// Resizer is a Job whose programs have to be told that their terminal changed.
type Resizer interface {
	Resize(size wire.Size) error
}

// Kind starts programs: it is what differs between sorts of guests.
type Kind interface {
	// Start runs a program whose standard handles are the given files, which
	// stay the caller's to close.
	Start(spec wire.Exec, stdin, stdout, stderr *os.File) (Job, error)
}

// Holder is a Kind that may hold jobs which wait for their program.
type Holder interface {
	// Take hands a job over that suits a program, nil where there is none.
	Take(spec wire.Exec) Held
}

// Held is a job that waits for its program, behind standard handles that are
// open already.
type Held interface {
	Stdio() *Stdio
	// Start names the program.
	Start(spec wire.Exec) (Job, error)
}

// Table holds the processes by the ids that the host gave them.
type Table struct {
	kind Kind

	mu        sync.Mutex
	processes map[string]*Process
	order     []*Process
	closed    bool
}

// NewTable makes an empty table whose processes are of one kind.
func NewTable(kind Kind) *Table {
	return &Table{kind: kind, processes: map[string]*Process{}}
}

// Start runs a new process under the id in its spec. attach is called before
// any stream moves, so that nothing is printed to nobody.
func (t *Table) Start(spec wire.Exec, attach func(*Process) error) (*Process, error) {
	p := newProcess(spec)
	if err := t.reserve(p); err != nil {
		return nil, err
	}
	if err := attach(p); err != nil {
		t.forget(p)
		return nil, err
	}
	if err := p.start(t.kind, spec); err != nil {
		t.forget(p)
		return nil, err
	}
	t.mu.Lock()
	p.started = true
	t.mu.Unlock()
	return p, nil
}

// Get finds a process.
func (t *Table) Get(id string) (*Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.processes[id]; p != nil && p.started {
		return p, nil
	}
	return nil, wire.Errorf(wire.NotFound, "no such process: %s", id)
}

// All returns every process that was started, oldest first.
func (t *Table) All() []*Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Process, 0, len(t.order))
	for _, p := range t.order {
		if p.started {
			all = append(all, p)
		}
	}
	return all
}

// Detach ends a session's part in all streams, those of processes that are being
// started among them.
func (t *Table) Detach() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.order {
		p.detach()
	}
}

// Close kills every process, waits for their ends and refuses new ones.
func (t *Table) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	for _, p := range t.All() {
		if err := p.Signal("KILL"); err != nil {
			return err
		}
	}
	for _, p := range t.All() {
		<-p.Done()
	}
	return nil
}

func (t *Table) reserve(p *Process) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return wire.Errorf(wire.Unavailable, "the guest is shutting down")
	case p.id == "" || t.processes[p.id] != nil:
		return wire.Errorf(wire.Invalid, "process id %q is empty or taken", p.id)
	case len(t.order) >= MaxProcesses && !t.evict():
		return wire.Errorf(wire.Unavailable, "%d processes are running already", MaxProcesses)
	}
	t.processes[p.id] = p
	t.order = append(t.order, p)
	return nil
}

// evict drops the oldest process that is over and done with.
func (t *Table) evict() bool {
	for _, p := range t.order {
		if p.settled() {
			t.drop(p)
			return true
		}
	}
	return false
}

func (t *Table) forget(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop(p)
}

func (t *Table) drop(p *Process) {
	delete(t.processes, p.id)
	for i, other := range t.order {
		if other == p {
			t.order = append(t.order[:i], t.order[i+1:]...)
			return
		}
	}
}
