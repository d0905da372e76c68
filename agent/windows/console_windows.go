package windows

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"unsafe"

	"linwin/agent/wire"
)

var (
	createPseudoConsole = kernel32.NewProc("CreatePseudoConsole")
	resizePseudoConsole = kernel32.NewProc("ResizePseudoConsole")
	closePseudoConsole  = kernel32.NewProc("ClosePseudoConsole")
)

// pseudoConsole is a console that is drawn on a pipe (ConPTY).
type pseudoConsole struct{ handle uintptr }

// newPseudoConsole makes a console that reads keys from one file and prints to
// the other, of which it takes copies.
func newPseudoConsole(size wire.Size, input, output *os.File) (*pseudoConsole, error) {
	if createPseudoConsole.Find() != nil {
		return nil, wire.Errorf(wire.Unavailable,
			"this Windows has no pseudo-consoles, which came with build 17763: leave out -t")
	}
	console := &pseudoConsole{}
	result, _, _ := createPseudoConsole.Call(
		coordinates(size), uintptr(handle(input)), uintptr(handle(output)), 0, uintptr(unsafe.Pointer(&console.handle)))
	if err := failed("CreatePseudoConsole", result); err != nil {
		return nil, err
	}
	return console, nil
}

func (c *pseudoConsole) resize(size wire.Size) error {
	result, _, _ := resizePseudoConsole.Call(c.handle, coordinates(size))
	if err := failed("ResizePseudoConsole", result); err != nil {
		return wire.Errorf(wire.Unavailable, "this Windows did not resize the terminal: %v", err)
	}
	return nil
}

// close ends the console once it has printed everything, which somebody has to
// read meanwhile.
func (c *pseudoConsole) close() { closePseudoConsole.Call(c.handle) }

// coordinates is a COORD by value. A console is at most 32767 each way.
func coordinates(size wire.Size) uintptr {
	columns, rows := min(size.Columns, math.MaxInt16), min(size.Rows, math.MaxInt16)
	return uintptr(columns) | uintptr(rows)<<16
}

// failed makes an error of an HRESULT (winerror.h) that is one.
func failed(what string, result uintptr) error {
	if int32(result) >= 0 {
		return nil
	}
	const facilityWin32 = 0x8007
	if uint32(result)>>16 == facilityWin32 {
		return os.NewSyscallError(what, syscall.Errno(result&0xFFFF))
	}
	return fmt.Errorf("%s: HRESULT %#x", what, uint32(result))
}
