package windows

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"linwin/agent/program"
)

var (
	kernel32             = syscall.NewLazyDLL("kernel32.dll")
	initializeAttributes = kernel32.NewProc("InitializeProcThreadAttributeList")
	updateAttribute      = kernel32.NewProc("UpdateProcThreadAttribute")
	deleteAttributes     = kernel32.NewProc("DeleteProcThreadAttributeList")
)

// What winbase.h calls them.
const (
	extendedStartupInfo    = 0x00080000
	createNoWindow         = 0x08000000
	attributeHandleList    = 0x00020002
	attributeJobList       = 0x0002000D
	attributePseudoConsole = 0x00020016
)

type startupInfoEx struct {
	syscall.StartupInfo
	attributes *byte
}

// attributeList is a PROC_THREAD_ATTRIBUTE_LIST: it holds addresses of its
// values, which therefore may not move.
type attributeList struct {
	buffer []byte
	pinned runtime.Pinner
}

func newAttributeList(count int) (*attributeList, error) {
	var size uintptr
	initializeAttributes.Call(0, uintptr(count), 0, uintptr(unsafe.Pointer(&size))) // fails, and tells the size
	list := &attributeList{buffer: make([]byte, max(size, 1))}
	ok, _, err := initializeAttributes.Call(
		uintptr(unsafe.Pointer(&list.buffer[0])), uintptr(count), 0, uintptr(unsafe.Pointer(&size)))
	if ok == 0 {
		return nil, os.NewSyscallError("InitializeProcThreadAttributeList", err)
	}
	list.pinned.Pin(&list.buffer[0])
	return list, nil
}

// set gives an attribute a value that is size bytes long.
func (l *attributeList) set(attribute uintptr, value, size uintptr) error {
	ok, _, err := updateAttribute.Call(
		uintptr(unsafe.Pointer(&l.buffer[0])), 0, attribute, value, size, 0, 0)
	if ok == 0 {
		return fmt.Errorf("UpdateProcThreadAttribute %#x: %w", attribute, err)
	}
	return nil
}

// setHandles makes an attribute of a list of handles.
func (l *attributeList) setHandles(attribute uintptr, handles ...syscall.Handle) error {
	l.pinned.Pin(&handles[0])
	return l.set(attribute, uintptr(unsafe.Pointer(&handles[0])), uintptr(len(handles))*unsafe.Sizeof(handles[0]))
}

func (l *attributeList) free() {
	deleteAttributes.Call(uintptr(unsafe.Pointer(&l.buffer[0])))
	l.pinned.Unpin()
}

// create starts the program in the job, with no handle of the agent's but the
// three given ones, or in the pseudo-console.
func (s *started) create(line string, environment []uint16, handles []syscall.Handle) error {
	commandLine, err := syscall.UTF16FromString(strings.ReplaceAll(line, "\x00", ""))
	if err != nil {
		return err
	}
	list, err := newAttributeList(2)
	if err != nil {
		return err
	}
	defer list.free()
	startup := startupInfoEx{attributes: &list.buffer[0]}
	startup.Cb = uint32(unsafe.Sizeof(startup))
	// Without handles of its own, a pseudo-console's program would get the agent's.
	startup.Flags = syscall.STARTF_USESTDHANDLES
	flags := uint32(extendedStartupInfo | syscall.CREATE_UNICODE_ENVIRONMENT)
	if s.console != nil {
		err = list.set(attributePseudoConsole, s.console.handle, unsafe.Sizeof(s.console.handle))
	} else {
		// A console of its own, so that it can take Ctrl-C.
		flags |= createNoWindow
		startup.StdInput, startup.StdOutput, startup.StdErr = handles[0], handles[1], handles[2]
		err = list.setHandles(attributeHandleList, handles...)
	}
	if err = errors.Join(err, list.setHandles(attributeJobList, s.job.Handle())); err != nil {
		return err
	}
	var information syscall.ProcessInformation
	err = syscall.CreateProcess(nil, &commandLine[0], nil, nil, s.console == nil, flags,
		&environment[0], nil, &startup.StartupInfo, &information)
	var code syscall.Errno
	if errors.As(err, &code) {
		return program.StartError(program.Name(line), uint64(code))
	}
	syscall.CloseHandle(information.Thread)
	s.process, s.pid = information.Process, information.ProcessId
	return nil
}
