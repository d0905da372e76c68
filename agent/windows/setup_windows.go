package windows

import (
	"fmt"
	"log"
	"os"
	"syscall"
	"unsafe"
)

var (
	advapi32       = syscall.NewLazyDLL("advapi32.dll")
	notifyOfChange = advapi32.NewProc("RegNotifyChangeKeyValue")
	createEvent    = kernel32.NewProc("CreateEventW")
)

// What winnt.h calls them.
const (
	notifyLastSet        = 0x4
	notifyThreadAgnostic = 0x1000_0000
)

// AwaitSetup returns when Windows has set itself up. Until then it restarts when
// it has to, and with it everything that a host had started.
func AwaitSetup() error {
	return awaitZero(syscall.HKEY_LOCAL_MACHINE, `SYSTEM\Setup`, "SystemSetupInProgress")
}

// awaitZero returns when a number in the registry is 0, or is not there.
func awaitZero(root syscall.Handle, path, name string) error {
	wide, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	var key syscall.Handle
	err = syscall.RegOpenKeyEx(root, wide, 0, syscall.KEY_QUERY_VALUE|syscall.KEY_NOTIFY, &key)
	if err == syscall.ERROR_FILE_NOT_FOUND {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer syscall.RegCloseKey(key)
	event, _, err := createEvent.Call(0, 0, 0, 0)
	if event == 0 {
		return os.NewSyscallError("CreateEvent", err)
	}
	defer syscall.CloseHandle(syscall.Handle(event))
	for waited := false; ; waited = true {
		// Before the look: what changes behind it is told.
		code, _, _ := notifyOfChange.Call(uintptr(key), 0, notifyLastSet|notifyThreadAgnostic, event, 1)
		if code != 0 {
			return os.NewSyscallError("RegNotifyChangeKeyValue", syscall.Errno(code))
		}
		value, err := number(key, name)
		if err != nil || value == 0 {
			return err
		}
		if !waited {
			log.Printf("%s is %d: waiting for its end", name, value)
		}
		if _, err := syscall.WaitForSingleObject(syscall.Handle(event), syscall.INFINITE); err != nil {
			return os.NewSyscallError("WaitForSingleObject", err)
		}
	}
}

// number is a DWORD of a key, 0 for one that is not there.
func number(key syscall.Handle, name string) (uint32, error) {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	var value, kind uint32
	size := uint32(unsafe.Sizeof(value))
	err = syscall.RegQueryValueEx(key, wide, nil, &kind, (*byte)(unsafe.Pointer(&value)), &size)
	if err == syscall.ERROR_FILE_NOT_FOUND {
		return 0, nil
	}
	if err == nil && kind != syscall.REG_DWORD {
		err = fmt.Errorf("it is no number but of type %d", kind)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", name, err)
	}
	return value, nil
}
