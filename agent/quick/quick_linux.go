// Package quick reads and writes descriptors that do not wait.
//
// The runtime takes a system call of more than 20 µs for one that waits, and hands
// the CPU's turn to another thread, which under emulation happens at every call and
// costs more than the call. These calls are not announced to it, so the descriptor
// must be in non-blocking mode.
package quick

import (
	"syscall"
	"unsafe"
)

// Read is read(2), repeated when a signal interrupts it. p must not be empty.
func Read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_READ, fd, p) }

// Write is write(2), repeated when a signal interrupts it. p must not be empty.
func Write(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_WRITE, fd, p) }

func call(number, fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(number, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}
