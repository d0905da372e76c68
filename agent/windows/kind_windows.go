// Package windows is the guest kind "windows": Windows programs on Windows, each
// in a job object, started by the agent as a service.
package windows

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"linwin/agent/job"
	"linwin/agent/process"
	"linwin/agent/program"
	"linwin/agent/wire"
)

// Kind starts Windows programs.
type Kind struct {
	// starting is held while this process's own folder and PATH are the next
	// program's, since CreateProcess looks for it by these.
	starting sync.Mutex
	hostname atomic.Pointer[string] // what programs are told before Windows knows
}

var _ process.Kind = (*Kind)(nil)

// Start implements process.Kind. With a terminal, the files are the two ends of a
// pseudo-console.
func (k *Kind) Start(spec wire.Exec, stdin, stdout, stderr *os.File) (process.Job, error) {
	line, err := k.check(spec)
	if err != nil {
		return nil, err
	}
	s := &started{}
	if s.job, err = job.NewObject(); err != nil {
		return nil, err
	}
	var handles []syscall.Handle
	if spec.Terminal != nil {
		s.console, err = newPseudoConsole(*spec.Terminal, stdin, stdout)
	} else {
		handles = []syscall.Handle{handle(stdin), handle(stdout), handle(stderr)}
	}
	if err == nil {
		err = k.launch(s, spec, line, handles)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (k *Kind) check(spec wire.Exec) (line string, err error) {
	switch strings.ToLower(spec.User) {
	case "", "containeradministrator":
	default:
		return "", program.UserError(spec.User, "programs run as ContainerAdministrator here")
	}
	if err := program.CheckFolder(spec.Cwd); err != nil {
		return "", err
	}
	return program.CommandLine(spec)
}

func (k *Kind) launch(s *started, spec wire.Exec, line string, handles []syscall.Handle) error {
	variables, err := k.environment(spec.Env)
	if err != nil {
		return err
	}
	k.starting.Lock()
	defer k.starting.Unlock()
	if err := enter(spec.Cwd); err != nil {
		return err
	}
	defer leave()
	if err := os.Setenv("PATH", variables.get("PATH")); err != nil {
		return fmt.Errorf("set PATH: %w", err)
	}
	return s.create(line, variables.block(), handles)
}

// enter goes to a folder, which is made if it is missing, as Windows does for
// docker.
func enter(folder string) error {
	err := os.Chdir(folder)
	if errors.Is(err, syscall.ERROR_FILE_NOT_FOUND) || errors.Is(err, syscall.ERROR_PATH_NOT_FOUND) {
		if err = os.MkdirAll(folder, 0o755); err == nil {
			err = os.Chdir(folder)
		}
	}
	if err != nil {
		return program.FolderError(folder)
	}
	return nil
}

// leave lets go of the folder, which could not be removed otherwise. The root of
// the system's drive is there for ever.
func leave() {
	if err := os.Chdir(os.Getenv("SystemDrive") + `\`); err != nil {
		panic(err)
	}
}

func handle(file *os.File) syscall.Handle { return syscall.Handle(file.Fd()) }
