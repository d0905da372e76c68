// Package service runs the agent as a Windows service, and makes Windows do so.
package service

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// Name is what Windows knows the service by.
const Name = "linwin-agent"

var (
	advapi32               = syscall.NewLazyDLL("advapi32.dll")
	startDispatcher        = advapi32.NewProc("StartServiceCtrlDispatcherW")
	registerControlHandler = advapi32.NewProc("RegisterServiceCtrlHandlerExW")
	setServiceStatus       = advapi32.NewProc("SetServiceStatus")
)

// What winsvc.h calls them.
const (
	ownProcess = 0x10

	stateStopped      = 1
	stateStartPending = 2
	stateStopPending  = 3
	stateRunning      = 4

	acceptStop     = 1
	acceptShutdown = 4

	controlStop        = 1
	controlInterrogate = 4
	controlShutdown    = 5

	errorNotImplemented  = 120
	errorServiceSpecific = 1066
)

// startTimeout is how long a start may take, in milliseconds: the port's name may
// be late.
const startTimeout = 90_000

type tableEntry struct { // SERVICE_TABLE_ENTRYW
	name *uint16
	main uintptr
}

type status struct { // SERVICE_STATUS
	kind, state, accepts, exitCode, specificCode, checkPoint, waitHint uint32
}

// runner is the one service of this process.
type runner struct {
	open   func() (serve func() error, err error)
	stop   chan struct{}
	once   sync.Once
	handle uintptr
	failed error
}

// Run serves until Windows stops the service, or serve fails. open gets ready
// for it; until it returns the service is starting. An error is returned when the
// process is no service, too.
func Run(open func() (serve func() error, err error)) error {
	name, err := syscall.UTF16PtrFromString(Name)
	if err != nil {
		return err
	}
	r := &runner{open: open, stop: make(chan struct{})}
	table := []tableEntry{{name, syscall.NewCallback(r.main)}, {}}
	if ok, _, err := startDispatcher.Call(uintptr(unsafe.Pointer(&table[0]))); ok == 0 {
		return fmt.Errorf("windows did not start this as a service: %w", err)
	}
	return r.failed
}

// main is the service's ServiceMain.
func (r *runner) main(_ uint32, _ **uint16) uintptr {
	name, err := syscall.UTF16PtrFromString(Name)
	if err != nil {
		r.failed = err
		return 0
	}
	handle, _, err := registerControlHandler.Call(
		uintptr(unsafe.Pointer(name)), syscall.NewCallback(r.control), 0)
	if handle == 0 {
		r.failed = os.NewSyscallError("RegisterServiceCtrlHandlerEx", err)
		return 0
	}
	r.handle = handle
	r.report(status{state: stateStartPending, waitHint: startTimeout})
	served := make(chan error, 1)
	go func() { served <- r.run() }()
	select {
	case <-r.stop:
		r.report(status{state: stateStopped})
	case r.failed = <-served:
		// Its failure has Windows start it again (the service's failure actions).
		r.report(status{state: stateStopped, exitCode: errorServiceSpecific, specificCode: 1})
	}
	return 0
}

func (r *runner) run() error {
	serve, err := r.open()
	if err != nil {
		return err
	}
	r.report(status{state: stateRunning, accepts: acceptStop | acceptShutdown})
	return serve()
}

// control is the service's HandlerEx.
func (r *runner) control(control, _ uint32, _, _ uintptr) uintptr {
	switch control {
	case controlStop, controlShutdown:
		r.report(status{state: stateStopPending})
		r.once.Do(func() { close(r.stop) })
	case controlInterrogate:
	default:
		return errorNotImplemented
	}
	return 0
}

func (r *runner) report(s status) {
	s.kind = ownProcess
	if ok, _, err := setServiceStatus.Call(r.handle, uintptr(unsafe.Pointer(&s))); ok == 0 {
		r.failed = errors.Join(r.failed, os.NewSyscallError("SetServiceStatus", err))
	}
}
