package process

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"linwin/agent/overlapped"
)

// maxDrained bounds what is taken from one pipe after its process ended: more
// than any pipe holds, and little enough that a stray writer is not followed.
const maxDrained = 1 << 20

var peekNamedPipe = syscall.NewLazyDLL("kernel32.dll").NewProc("PeekNamedPipe")

// Pipe is the agent's end of a program's handle.
type Pipe = *overlapped.File

func inputPipe() (own Pipe, child *os.File, err error)  { return overlapped.InputPipe() }
func outputPipe() (own Pipe, child *os.File, err error) { return overlapped.OutputPipe() }
func openNull() (*os.File, error)                       { return overlapped.Null() }

// interrupt makes a pending and every later Read of the pipe return at once.
func interrupt(pipe Pipe) { pipe.SetReadDeadline(time.Now()) }

// receiver returns a function that waits for bytes and takes them into the output.
func receiver(pipe Pipe, output *Output) func() error {
	buffer := make([]byte, tapSize)
	return func() error {
		n, err := pipe.Read(buffer)
		output.append(buffer[:n])
		return err
	}
}

// drain takes what is in the pipe without waiting for more.
func drain(pipe Pipe, output *Output) {
	pipe.SetReadDeadline(time.Time{})
	buffer := make([]byte, tapSize)
	for taken := 0; taken < maxDrained; {
		var available uint32
		ok, _, _ := peekNamedPipe.Call(uintptr(pipe.Handle()), 0, 0, 0, uintptr(unsafe.Pointer(&available)), 0)
		if ok == 0 || available == 0 {
			return // all writers are gone, or nothing is left
		}
		n, err := pipe.Read(buffer[:min(int(available), len(buffer))])
		if err != nil {
			return
		}
		output.append(buffer[:n])
		taken += n
	}
}
