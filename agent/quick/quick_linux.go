// Package quick reads and writes descriptors that do not wait.
//
// The runtime takes a system call of more than 20 µs for one that waits, and hands
// the CPU's turn to another thread, which under emulation happens at every call and
// costs more than the call. These calls are not announced to it, so the descriptor
// must be in non-blocking mode.
//
// An address is made a number where the call is made, and nowhere else: only there does the
// runtime know that it must not move what is at it.
package quick

import (
	"syscall"
	"unsafe"
)

// most is how many pieces one Read fills.
const most = 8

// Read is readv(2) into the first pieces, none of which may be empty, repeated when a
// signal interrupts it.
func Read(fd uintptr, pieces ...[]byte) (int, error) {
	var vector [most]syscall.Iovec
	count := min(len(pieces), most)
	for i, piece := range pieces[:count] {
		vector[i] = syscall.Iovec{Base: &piece[0], Len: uint64(len(piece))}
	}
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_READV, fd, uintptr(unsafe.Pointer(&vector)), uintptr(count))
		if errno != syscall.EINTR {
			return outcome(n, errno)
		}
	}
}

// Write is write(2), repeated when a signal interrupts it. p must not be empty.
func Write(fd uintptr, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if errno != syscall.EINTR {
			return outcome(n, errno)
		}
	}
}

func outcome(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
