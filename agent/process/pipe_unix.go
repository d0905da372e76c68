//go:build unix

package process

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"linwin/agent/quick"
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

// pipeSize is what a program may print before it has to wait for the agent's turn on
// the CPU. It is no promise: the kernel gives less to an agent that has many pipes.
const pipeSize = 256 << 10

// widen makes a pipe hold pipeSize bytes.
func widen(raw syscall.RawConn) {
	const setPipeSize = 1031 // F_SETPIPE_SZ, missing in package syscall
	raw.Control(func(fd uintptr) {
		syscall.Syscall(syscall.SYS_FCNTL, fd, setPipeSize, pipeSize)
	})
}

// receiver returns a function that waits for bytes and takes them into the output.
func receiver(pipe *os.File, output *Output) func() error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return func() error { return err }
	}
	widen(raw)
	return func() error {
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			_, failed = output.fill(reader(fd))
			return failed != syscall.EAGAIN
		})
		return errors.Join(err, failed)
	}
}

// reader returns what fill needs to take a pipe's bytes without waiting for more.
func reader(fd uintptr) func([][]byte) (int, error) {
	return func(room [][]byte) (int, error) {
		n, err := quick.Read(fd, room...)
		if n == 0 && err == nil {
			err = io.EOF
		}
		return n, err
	}
}

// drain takes what is in the pipe without waiting for more.
func drain(pipe Pipe, output *Output) {
	pipe.SetReadDeadline(time.Time{})
	raw, err := pipe.SyscallConn()
	if err != nil {
		return
	}
	for taken := 0; taken < maxDrained && err == nil; {
		var failed error
		err = raw.Read(func(fd uintptr) bool {
			var n int
			n, failed = output.fill(reader(fd))
			taken += n
			return true
		})
		err = errors.Join(err, failed)
	}
}
