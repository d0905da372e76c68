package windows

import (
	"errors"
	"log"
	"os"
	"sync"
	"syscall"

	"linwin/agent/job"
	"linwin/agent/process"
	"linwin/agent/program"
	"linwin/agent/wire"
)

// started is a program that runs, in a job of its own.
type started struct {
	job     *job.Object
	process syscall.Handle
	pid     uint32
	console *pseudoConsole // nil when it was started without a terminal

	// using is held while the handles are used by anybody but Wait, which closes
	// them in the end.
	using sync.RWMutex
	over  bool
}

var (
	_ process.Job     = (*started)(nil)
	_ process.Resizer = (*started)(nil)
)

// Wait implements process.Job.
func (s *started) Wait() uint32 {
	code, err := wait(s.process)
	if err == nil {
		err = errors.Join(s.job.Kill(program.Killed), s.job.WaitEmpty())
	}
	if err != nil {
		log.Printf("job: clean up after process %d: %v", s.pid, err)
	}
	s.close()
	return code
}

// wait returns the exit code of a process when it has ended.
func wait(process syscall.Handle) (code uint32, err error) {
	if _, err = syscall.WaitForSingleObject(process, syscall.INFINITE); err != nil {
		return 0, os.NewSyscallError("WaitForSingleObject", err)
	}
	return code, os.NewSyscallError("GetExitCodeProcess", syscall.GetExitCodeProcess(process, &code))
}

// close ends what is left of the program and frees what it had.
func (s *started) close() {
	s.using.Lock()
	defer s.using.Unlock()
	s.over = true
	if s.console != nil {
		s.console.close()
	}
	if s.process != 0 {
		syscall.CloseHandle(s.process)
	}
	s.job.Close()
}

// use calls a function unless the program is over.
func (s *started) use(function func() error) error {
	s.using.RLock()
	defer s.using.RUnlock()
	if s.over {
		return nil
	}
	return function()
}

// Resize implements process.Resizer.
func (s *started) Resize(size wire.Size) error {
	return s.use(func() error { return s.console.resize(size) })
}

// Signal implements process.Job.
func (s *started) Signal(name string) error {
	event, ok := program.Events[name]
	switch {
	case name == "KILL":
		return s.use(func() error { return s.job.Kill(program.Killed) })
	case !ok:
		return wire.Errorf(wire.Invalid, "unknown signal: %s", name)
	}
	return s.use(func() error {
		if err := s.raise(event); err != nil && !s.ended() {
			return wire.Errorf(wire.Unavailable, "the program cannot be sent %s: %v", name, err)
		}
		return nil
	})
}

func (s *started) ended() bool {
	state, err := syscall.WaitForSingleObject(s.process, 0)
	return err == nil && state == syscall.WAIT_OBJECT_0
}
