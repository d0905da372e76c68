package overlapped

import (
	"crypto/rand"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

var createNamedPipe = kernel32.NewProc("CreateNamedPipeW")

// Pipe buffers hold what an anonymous Unix pipe holds.
const pipeSize = 64 << 10

// What winbase.h and winnt.h call them.
const (
	pipeAccessInbound         = 0x1
	pipeAccessOutbound        = 0x2
	fileFlagOverlapped        = 0x40000000
	fileFlagFirstPipeInstance = 0x00080000
	pipeRejectRemoteClients   = 0x8
	fileReadAttributes        = 0x80
	fileWriteAttributes       = 0x100
)

// OutputPipe makes a pipe from a program to this one. The program's end is
// inheritable and, as programs expect, not overlapped.
func OutputPipe() (own *File, child *os.File, err error) {
	return pipe(pipeAccessInbound, syscall.GENERIC_WRITE|fileReadAttributes)
}

// InputPipe makes a pipe from this program to another one.
func InputPipe() (own *File, child *os.File, err error) {
	return pipe(pipeAccessOutbound, syscall.GENERIC_READ|fileWriteAttributes)
}

// Null opens the device that reads as an end, inheritable.
func Null() (*os.File, error) {
	return inheritable("NUL", syscall.GENERIC_READ|syscall.GENERIC_WRITE, syscall.FILE_SHARE_READ|syscall.FILE_SHARE_WRITE)
}

// pipe makes a named pipe, since anonymous ones are never overlapped. Nobody
// guesses its name, and a second server of it is refused.
func pipe(access, childAccess uint32) (own *File, child *os.File, err error) {
	name := fmt.Sprintf(`\\.\pipe\linwin-agent-%s`, rand.Text())
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, nil, err
	}
	handle, _, failure := createNamedPipe.Call(
		uintptr(unsafe.Pointer(wide)), uintptr(access|fileFlagOverlapped|fileFlagFirstPipeInstance),
		pipeRejectRemoteClients, 1, pipeSize, pipeSize, 0, 0)
	if syscall.Handle(handle) == syscall.InvalidHandle {
		return nil, nil, os.NewSyscallError("CreateNamedPipe", failure)
	}
	if own, err = NewFile(syscall.Handle(handle)); err != nil {
		return nil, nil, err
	}
	if child, err = inheritable(name, childAccess, 0); err != nil {
		own.Close()
		return nil, nil, err
	}
	return own, child, nil
}

func inheritable(name string, access, share uint32) (*os.File, error) {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	attributes := syscall.SecurityAttributes{InheritHandle: 1}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	handle, err := syscall.CreateFile(wide, access, share, &attributes, syscall.OPEN_EXISTING, 0, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(handle), name), nil
}

// Open opens a device or a named pipe.
func Open(name string) (*File, error) {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	handle, err := syscall.CreateFile(wide, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil,
		syscall.OPEN_EXISTING, fileFlagOverlapped, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return NewFile(handle)
}
