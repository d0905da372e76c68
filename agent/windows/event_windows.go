package windows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

var (
	attachConsole      = kernel32.NewProc("AttachConsole")
	generateEvent      = kernel32.NewProc("GenerateConsoleCtrlEvent")
	createRemoteThread = kernel32.NewProc("CreateRemoteThread")
	isWow64Process     = kernel32.NewProc("IsWow64Process")
	ctrlRoutine        = syscall.NewLazyDLL("kernelbase.dll").NewProc("CtrlRoutine")
)

// What wincon.h and winbase.h call them.
const (
	ctrlBreakEvent    = 1
	ctrlShutdownEvent = 6
	detachedProcess   = 0x8
)

// raiseTimeout bounds the program that raises an event.
const raiseTimeout = 30 * time.Second

// RaiseVerb is the agent's command line word for Raise.
const RaiseVerb = "raise"

// raise sends a console control event to the program. Ctrl-C and Ctrl-Break go
// to all programs of its console, as from a keyboard, if there is one.
func (s *started) raise(event uint32) error {
	if event != ctrlShutdownEvent {
		if raiseInConsole(event, s.pid) == nil {
			return nil
		}
		return s.raiseInProgram(event)
	}
	var emulated uint32 // a 32-bit program, whose routine is at another address
	if ok, _, err := isWow64Process.Call(uintptr(s.process), uintptr(unsafe.Pointer(&emulated))); ok == 0 {
		return os.NewSyscallError("IsWow64Process", err)
	}
	if emulated != 0 {
		return raiseInConsole(ctrlBreakEvent, s.pid)
	}
	return s.raiseInProgram(event)
}

// raiseInProgram does what csrss does when Windows shuts down: it calls the
// routine that calls the program's handlers. Windows lets nobody else raise this
// event. kernelbase.dll has one address in all programs of one kind.
func (s *started) raiseInProgram(event uint32) error {
	if err := ctrlRoutine.Find(); err != nil {
		return err
	}
	thread, _, err := createRemoteThread.Call(uintptr(s.process), 0, 0, ctrlRoutine.Addr(), uintptr(event), 0, 0)
	if thread == 0 {
		return os.NewSyscallError("CreateRemoteThread", err)
	}
	return syscall.CloseHandle(syscall.Handle(thread))
}

// raiseInConsole starts this program again: one must be attached to the console
// of an event, and can be to no more than one.
func raiseInConsole(event, pid uint32) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	limit, done := context.WithTimeout(context.Background(), raiseTimeout)
	defer done()
	command := exec.CommandContext(limit, self, RaiseVerb, fmt.Sprint(event), fmt.Sprint(pid))
	command.SysProcAttr = &syscall.SysProcAttr{CreationFlags: detachedProcess}
	_, err = command.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) && len(failed.Stderr) > 0 {
		return errors.New(strings.TrimSpace(string(failed.Stderr)))
	}
	return err
}

// Raise is what raiseInConsole starts: it raises an event in the console of a
// process. The arguments are the event's number and the process's.
func Raise(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("an event and a process are needed")
	}
	var numbers [2]uintptr
	for i, argument := range arguments {
		number, err := strconv.ParseUint(argument, 10, 32)
		if err != nil {
			return err
		}
		numbers[i] = uintptr(number)
	}
	if ok, _, err := attachConsole.Call(numbers[1]); ok == 0 {
		return os.NewSyscallError("AttachConsole", err)
	}
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // the event comes here as well
	const everyone = 0
	if ok, _, err := generateEvent.Call(numbers[0], everyone); ok == 0 {
		return os.NewSyscallError("GenerateConsoleCtrlEvent", err)
	}
	return nil
}
