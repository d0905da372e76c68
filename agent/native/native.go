//go:build linux

// Package native runs plain Linux programs: the guest kind "linux", which also
// lets the whole protocol be tested on a host without a guest.
package native

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"linwin/agent/job"
	"linwin/agent/process"
	"linwin/agent/session"
	"linwin/agent/usage"
	"linwin/agent/wire"
)

// Kind starts Linux programs.
type Kind struct{ Spawner *job.Spawner }

var _ process.Kind = Kind{}

// Start implements process.Kind.
func (k Kind) Start(spec wire.Exec, stdin, stdout, stderr *os.File) (process.Job, error) {
	if len(spec.Argv) == 0 || spec.CommandLine != nil {
		return nil, wire.Errorf(wire.Invalid, "a linux guest needs an argv and takes no command line")
	}
	if spec.User != "" {
		return nil, wire.Errorf(wire.Invalid, "a linux guest cannot change users yet")
	}
	if info, err := os.Stat(spec.Cwd); spec.Cwd != "" && (err != nil || !info.IsDir()) {
		return nil, wire.Errorf(wire.Invalid, "the working directory %q does not exist", spec.Cwd)
	}
	env := environment(spec.Env)
	path, err := lookPath(spec.Argv[0], spec.Cwd, env)
	if err != nil {
		return nil, err
	}
	started, err := k.Spawner.Start(job.Program{
		Path: path, Argv: spec.Argv, Env: env, Dir: spec.Cwd, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Terminal: spec.Terminal != nil,
	})
	if errors.Is(err, syscall.ENOEXEC) || errors.Is(err, fs.ErrPermission) {
		return nil, wire.Errorf(wire.NotExecutable, "exec: %q: %v", spec.Argv[0], err)
	}
	if err != nil {
		return nil, err
	}
	return started, nil
}

func environment(overlay map[string]string) []string {
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if _, replaced := overlay[name]; !replaced {
			env = append(env, variable)
		}
	}
	for name, value := range overlay {
		env = append(env, name+"="+value)
	}
	return env
}

// lookPath finds a program as execvp would with the new process's own PATH.
func lookPath(name, cwd string, env []string) (string, error) {
	candidates := []string{name}
	if !strings.Contains(name, "/") {
		candidates = nil
		for _, folder := range strings.Split(variable(env, "PATH"), ":") {
			candidates = append(candidates, filepath.Join(folder, name))
		}
	}
	refused := false
	for _, candidate := range candidates {
		if !filepath.IsAbs(candidate) {
			candidate = filepath.Join(cwd, candidate)
		}
		info, err := os.Stat(candidate)
		if err != nil || info.IsDir() {
			continue
		}
		if info.Mode()&0o111 != 0 {
			return candidate, nil
		}
		refused = true
	}
	if refused {
		return "", wire.Errorf(wire.NotExecutable, "exec: %q: permission denied", name)
	}
	return "", wire.Errorf(wire.NotFound, "exec: %q: executable file not found in $PATH", name)
}

func variable(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// Guest is a guest that is the host itself: there is nothing to prepare.
type Guest struct{ Spawner *job.Spawner }

var _ session.Observer = Guest{}

// Processes implements session.Observer.
func (g Guest) Processes() (wire.Processes, error) {
	found, err := g.started()
	if err != nil {
		return wire.Processes{}, err
	}
	return usage.List(found, func(p usage.Process) (string, uint32) { return p.Name(), uint32(p.PID) })
}

// Usage implements session.Observer. What is not a process's own is the host's.
func (g Guest) Usage() (wire.Usage, error) {
	found, err := g.started()
	if err != nil {
		return wire.Usage{}, err
	}
	private, err := usage.PrivateOf(found)
	if err != nil {
		return wire.Usage{}, err
	}
	return usage.Machine(proc, "/", private)
}

const proc = "/proc"

// started finds what the agent started, and what that started in turn.
func (g Guest) started() ([]usage.Process, error) {
	pids, err := g.Spawner.Processes()
	if err != nil {
		return nil, err
	}
	return usage.Select(proc, func(p usage.Process) bool { return pids[p.PID] })
}

// Warm implements session.Guest.
func (Guest) Warm() error { return nil }

// Rehearse implements session.Guest: a program of Linux starts fast the first time, too.
func (Guest) Rehearse(wire.Rehearsal) error { return nil }

// Prepare implements session.Guest.
func (Guest) Prepare(wire.Preparation) error { return nil }

// Flush implements session.Guest: what the host has yet to write is the host's own.
func (Guest) Flush() error { return nil }

// Shutdown implements session.Guest.
func (Guest) Shutdown() error { return nil }
