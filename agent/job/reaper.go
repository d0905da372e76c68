//go:build linux

// Package job runs programs on Linux, each in a control group of its own, and
// reaps everything that ends, as the first process of a system must.
package job

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	prSetChildSubreaper = 36
	waitAll             = 0          // P_ALL
	waitNone            = 0x00000001 // WNOHANG
	waitExited          = 0x00000004 // WEXITED
	waitNoReap          = 0x01000000 // WNOWAIT
)

// Reaper starts children and waits for them and for every orphan. There is one
// in a program, since it takes all of the program's children.
type Reaper struct {
	mu       sync.Mutex
	children map[int]*child
	changed  *sync.Cond // idle
	idle     bool       // there is no child, and so no orphan to come
}

type child struct {
	status syscall.WaitStatus
	ended  chan struct{}
}

// NewReaper makes this program the one that orphans below it fall to.
func NewReaper() (*Reaper, error) {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return nil, fmt.Errorf("become a subreaper: %w", errno)
	}
	r := &Reaper{children: map[int]*child{}}
	r.changed = sync.NewCond(&r.mu)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go r.run(ended)
	return r, nil
}

// Start forks and executes a program. The lock is held over the fork, so that
// the child is known before it can be reaped.
func (r *Reaper) Start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err = syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, err
	}
	r.children[pid] = &child{ended: make(chan struct{})}
	r.idle = false
	return pid, nil
}

// Wait returns how a child that Start made ended. It may be called once.
func (r *Reaper) Wait(pid int) syscall.WaitStatus {
	r.mu.Lock()
	c := r.children[pid]
	r.mu.Unlock()
	<-c.ended
	r.mu.Lock()
	delete(r.children, pid)
	r.mu.Unlock()
	return c.status
}

// WaitTimeout is Wait with a time limit, after which the child is killed.
func (r *Reaper) WaitTimeout(pid int, timeout time.Duration) error {
	ended := make(chan struct{})
	go func() {
		r.Wait(pid)
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(timeout):
		return errors.Join(fmt.Errorf("process %d ran on for %v", pid, timeout), r.Kill(pid, syscall.SIGKILL))
	}
}

// KillAll ends every process but this one, which must be the system's first, and
// returns when all are reaped.
func (r *Reaper) KillAll(timeout time.Duration) error {
	if err := syscall.Kill(-1, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("kill all processes: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	expired := time.AfterFunc(timeout, r.changed.Broadcast)
	defer expired.Stop()
	for began := time.Now(); !r.idle; r.changed.Wait() {
		if time.Since(began) >= timeout {
			return fmt.Errorf("some process outlived its kill by %v", timeout)
		}
	}
	return nil
}

// Kill sends a signal to a child unless it has ended.
func (r *Reaper) Kill(pid int, signal syscall.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.children[pid]
	if c == nil {
		return nil
	}
	select {
	case <-c.ended:
		return nil
	default:
		return syscall.Kill(pid, signal)
	}
}

// run reaps whenever the kernel says that a child has ended. A system call that waits
// for one would keep the other goroutines from the CPU until the runtime notices.
func (r *Reaper) run(ended <-chan os.Signal) {
	for r.sweep(); ; r.sweep() {
		<-ended
	}
}

// sweep reaps every child that has ended by now.
func (r *Reaper) sweep() {
	for {
		switch pid, err := nextDead(); {
		case err == syscall.EINTR:
		case err != nil: // ECHILD: there is no child
			r.mu.Lock()
			// One may have been started since.
			r.idle = r.alive() == 0
			r.mu.Unlock()
			r.changed.Broadcast()
			return
		case pid == 0:
			return
		default:
			r.reap(pid)
		}
	}
}

func (r *Reaper) alive() (n int) {
	for _, c := range r.children {
		select {
		case <-c.ended:
		default:
			n++
		}
	}
	return n
}

// nextDead returns a child that has ended, 0 for none, and leaves it unreaped, so that
// its pid stays taken until reap holds the lock.
func nextDead() (int, error) {
	var info [128]byte // siginfo_t
	_, _, errno := syscall.RawSyscall6(syscall.SYS_WAITID, waitAll, 0, uintptr(unsafe.Pointer(&info)),
		waitExited|waitNoReap|waitNone, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(*(*int32)(unsafe.Pointer(&info[16]))), nil // si_pid on 64-bit
}

func (r *Reaper) reap(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
		return
	}
	if c := r.children[pid]; c != nil {
		c.status = status
		close(c.ended)
	}
}
