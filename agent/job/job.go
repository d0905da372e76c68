//go:build linux

package job

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"linwin/agent/wire"
)

// Signalled is added to a signal's number to make the exit code of a process
// that it ended, as shells and docker have it.
const Signalled = 128

// Spawner starts jobs in control groups below one folder of cgroup2.
type Spawner struct {
	Reaper *Reaper
	Root   string
	count  atomic.Uint64
}

// Program is a Unix program to start.
type Program struct {
	Path                  string
	Argv, Env             []string
	Dir                   string
	Stdin, Stdout, Stderr *os.File
	// Terminal makes Stdin, which must be one, the controlling terminal.
	Terminal bool
}

// Job is a running program and all that it started.
type Job struct {
	spawner *Spawner
	group   *cgroup
	pid     int
}

// Start runs a program as the first of a new job and of a new session.
func (s *Spawner) Start(p Program) (*Job, error) {
	group, err := newCgroup(filepath.Join(s.Root, fmt.Sprintf("linwin-%d-%d", os.Getpid(), s.count.Add(1))))
	if err != nil {
		return nil, err
	}
	pid, err := s.Reaper.Start(p.Path, p.Argv, &syscall.ProcAttr{
		Dir:   p.Dir,
		Env:   p.Env,
		Files: []uintptr{p.Stdin.Fd(), p.Stdout.Fd(), p.Stderr.Fd()},
		Sys: &syscall.SysProcAttr{
			Setsid: true, Setctty: p.Terminal, UseCgroupFD: true, CgroupFD: group.dir,
		},
	})
	if err != nil {
		if removal := group.remove(); removal != nil {
			log.Printf("job: %v", removal)
		}
		return nil, err
	}
	return &Job{spawner: s, group: group, pid: pid}, nil
}

// Processes are the numbers of all processes in the jobs that run.
func (s *Spawner) Processes() (map[int]bool, error) {
	groups, err := filepath.Glob(filepath.Join(s.Root, fmt.Sprintf("linwin-%d-*", os.Getpid()), "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	found := map[int]bool{}
	for _, group := range groups {
		text, err := os.ReadFile(group)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
			continue // the job has ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(line)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", group, err)
			}
			found[pid] = true
		}
	}
	return found, nil
}

// Status waits until the program has ended and the rest of its job is killed.
func (j *Job) Status() syscall.WaitStatus {
	status := j.spawner.Reaper.Wait(j.pid)
	if err := j.group.remove(); err != nil {
		log.Printf("job: clean up after process %d: %v", j.pid, err)
	}
	return status
}

// Wait implements process.Job.
func (j *Job) Wait() uint32 { return ExitCode(j.Status()) }

// ExitCode is the code that docker reports for a Unix process.
func ExitCode(status syscall.WaitStatus) uint32 {
	if status.Signaled() {
		return Signalled + uint32(status.Signal())
	}
	return uint32(status.ExitStatus())
}

// Kill ends every process of the job.
func (j *Job) Kill() error { return j.group.kill() }

// Signal implements process.Job with Unix signals to the main process.
func (j *Job) Signal(name string) error {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "BREAK": syscall.SIGQUIT}
	if name == "KILL" {
		return j.Kill()
	}
	signal, ok := signals[name]
	if !ok {
		return wire.Errorf(wire.Invalid, "unknown signal: %s", name)
	}
	return j.spawner.Reaper.Kill(j.pid, signal)
}
