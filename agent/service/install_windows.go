package service

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

var (
	openManager        = advapi32.NewProc("OpenSCManagerW")
	createService      = advapi32.NewProc("CreateServiceW")
	openService        = advapi32.NewProc("OpenServiceW")
	startService       = advapi32.NewProc("StartServiceW")
	controlService     = advapi32.NewProc("ControlService")
	queryServiceStatus = advapi32.NewProc("QueryServiceStatusEx")
	changeConfig       = advapi32.NewProc("ChangeServiceConfig2W")
	deleteService      = advapi32.NewProc("DeleteService")
	closeServiceHandle = advapi32.NewProc("CloseServiceHandle")
)

// What winsvc.h and winerror.h call them.
const (
	managerAllAccess = 0xF003F
	serviceAllAccess = 0xF01FF
	autoStart        = 2
	errorNormal      = 1
	failureActions   = 2
	actionRestart    = 1
	statusProcess    = 0

	errorServiceNotActive = syscall.Errno(1062)
)

// stopTimeout is how long a service may take to end, in milliseconds; Windows
// gives services 20 s at its own shutdown.
const stopTimeout = 20_000

// lookAgain is how long to wait before asking for the service's state again.
const lookAgain = 100 * time.Millisecond

type failures struct { // SERVICE_FAILURE_ACTIONSW
	resetAfter    uint32 // seconds
	message, line *uint16
	count         uint32
	actions       *action
}

type action struct{ kind, delay uint32 } // SC_ACTION; the delay is in milliseconds

type processStatus struct { // SERVICE_STATUS_PROCESS
	status
	pid, flags uint32
}

// Install has Windows run a command line as the service, now and at each start.
func Install(commandLine string) error {
	return withManager(func(manager uintptr) error {
		name, err := syscall.UTF16PtrFromString(Name)
		if err != nil {
			return err
		}
		line, err := syscall.UTF16PtrFromString(commandLine)
		if err != nil {
			return err
		}
		service, _, err := createService.Call(manager, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(name)),
			serviceAllAccess, ownProcess, autoStart, errorNormal, uintptr(unsafe.Pointer(line)), 0, 0, 0, 0, 0)
		if service == 0 {
			return fmt.Errorf("make the service %s: %w", Name, err)
		}
		defer closeServiceHandle.Call(service)
		if err := restartOnFailure(service); err != nil {
			return err
		}
		if ok, _, err := startService.Call(service, 0, 0); ok == 0 {
			return fmt.Errorf("start the service %s: %w", Name, err)
		}
		return awaitStart(service)
	})
}

// awaitStart returns when the service runs. Windows tells no event of that to a
// thread that does not wait alertably.
func awaitStart(service uintptr) error {
	for began := time.Now(); time.Since(began) < startTimeout*time.Millisecond; <-time.After(lookAgain) {
		current, err := query(service)
		switch {
		case err != nil:
			return err
		case current.state == stateRunning:
			return nil
		case current.state == stateStopped:
			return fmt.Errorf("the service %s ended at once; its log is %%ProgramData%%\\linwin\\agent.log", Name)
		}
	}
	return fmt.Errorf("the service %s did not start within %d ms", Name, startTimeout)
}

func query(service uintptr) (current processStatus, err error) {
	var needed uint32
	ok, _, err := queryServiceStatus.Call(service, statusProcess, uintptr(unsafe.Pointer(&current)),
		unsafe.Sizeof(current), uintptr(unsafe.Pointer(&needed)))
	if ok == 0 {
		return current, fmt.Errorf("ask for the state of the service %s: %w", Name, err)
	}
	return current, nil
}

// restartOnFailure has Windows start the service again a second after it failed.
func restartOnFailure(service uintptr) error {
	restart := action{actionRestart, 1000}
	wanted := failures{count: 1, actions: &restart}
	if ok, _, err := changeConfig.Call(service, failureActions, uintptr(unsafe.Pointer(&wanted))); ok == 0 {
		return fmt.Errorf("have the service %s restarted: %w", Name, err)
	}
	return nil
}

// Uninstall stops the service, waits for its end and removes it.
func Uninstall() error {
	return withManager(func(manager uintptr) error {
		name, err := syscall.UTF16PtrFromString(Name)
		if err != nil {
			return err
		}
		service, _, err := openService.Call(manager, uintptr(unsafe.Pointer(name)), serviceAllAccess)
		if service == 0 {
			return fmt.Errorf("open the service %s: %w", Name, err)
		}
		defer closeServiceHandle.Call(service)
		stopped := stop(service)
		if ok, _, err := deleteService.Call(service); ok == 0 {
			return errors.Join(stopped, fmt.Errorf("remove the service %s: %w", Name, err))
		}
		return stopped
	})
}

// stop returns when the service's process has ended.
func stop(service uintptr) error {
	running, err := query(service)
	if err != nil {
		return err
	}
	if running.pid == 0 {
		return nil
	}
	process, err := syscall.OpenProcess(syscall.SYNCHRONIZE, false, running.pid)
	if err != nil {
		return fmt.Errorf("follow the service %s: %w", Name, err)
	}
	defer syscall.CloseHandle(process)
	var last status
	ok, _, err := controlService.Call(service, controlStop, uintptr(unsafe.Pointer(&last)))
	if ok == 0 && err != errorServiceNotActive {
		return fmt.Errorf("stop the service %s: %w", Name, err)
	}
	state, err := syscall.WaitForSingleObject(process, stopTimeout)
	if state != syscall.WAIT_OBJECT_0 {
		return errors.Join(err, fmt.Errorf("the service %s did not end within %d ms", Name, stopTimeout))
	}
	return nil
}

func withManager(act func(manager uintptr) error) error {
	manager, _, err := openManager.Call(0, 0, managerAllAccess)
	if manager == 0 {
		return os.NewSyscallError("OpenSCManager", err)
	}
	defer closeServiceHandle.Call(manager)
	return act(manager)
}
