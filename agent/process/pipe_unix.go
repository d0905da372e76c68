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

// Pipe is the agent's end of a program's handle.
type Pipe = *os.File

func inputPipe() (own Pipe, child *os.File, err error) {
	child, own, err = os.Pipe()
	return own, child, err
}

func outputPipe() (own Pipe, child *os.File, err error) { return os.Pipe() }

func openNull() (*os.File, error) { return os.Open(os.DevNull) }

// interrupt makes a pending and every later Read of the pipe return at once.
func interrupt(pipe Pipe) { pipe.SetReadDeadline(time.Now()) }

// drain takes what is in the pipe without waiting for more.
func drain(pipe Pipe, output *Output) {
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
