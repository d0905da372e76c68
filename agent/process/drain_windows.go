package process

import (
	"os"
	"syscall"
	"unsafe"
)

// maxDrained bounds what is taken from one pipe after its process ended: more
// than any pipe holds, and little enough that a stray writer is not followed.
const maxDrained = 1 << 20

var (
	kernel32      = syscall.NewLazyDLL("kernel32.dll")
	cancelIoEx    = kernel32.NewProc("CancelIoEx")
	peekNamedPipe = kernel32.NewProc("PeekNamedPipe")
)

// interrupt makes a pending Read of the pipe return.
func interrupt(pipe *os.File) {
	// It fails when no Read is pending, which is as good.
	cancelIoEx.Call(pipe.Fd(), 0)
}

// receiver returns a function that waits for bytes and takes them into the output.
func receiver(pipe *os.File, output *Output) func() error {
	buffer := make([]byte, tapSize)
	return func() error {
		n, err := pipe.Read(buffer)
		output.append(buffer[:n])
		return err
	}
}

// drain takes what is in the pipe without waiting for more.
func drain(pipe *os.File, output *Output) {
	buffer := make([]byte, tapSize)
	for taken := 0; taken < maxDrained; {
		var available uint32
		ok, _, _ := peekNamedPipe.Call(pipe.Fd(), 0, 0, 0, uintptr(unsafe.Pointer(&available)), 0)
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
