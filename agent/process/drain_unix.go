//go:build unix

package process

import (
	"os"
	"syscall"
	"time"
)

// maxDrained bounds what is taken from one pipe after its process ended: more
// than any pipe holds, and little enough that a stray writer is not followed.
const maxDrained = 1 << 20

// interrupt makes a pending and every later Read of the pipe return at once.
func interrupt(pipe *os.File) { pipe.SetReadDeadline(time.Now()) }

// drain takes what is in the pipe without waiting for more.
func drain(pipe *os.File, output *Output) {
	pipe.SetReadDeadline(time.Time{})
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, tapSize)
	for taken := 0; taken < maxDrained; {
		n := 0
		raw.Read(func(fd uintptr) bool {
			for {
				n, err = syscall.Read(int(fd), buffer)
				if err != syscall.EINTR {
					return true
				}
			}
		})
		if n <= 0 {
			return
		}
		output.append(buffer[:n])
		taken += n
	}
}
