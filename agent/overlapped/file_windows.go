// Package overlapped reads and writes Windows handles that were opened with
// FILE_FLAG_OVERLAPPED, so that a transfer that waits can be given up.
package overlapped

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

var (
	kernel32            = syscall.NewLazyDLL("kernel32.dll")
	createEvent         = kernel32.NewProc("CreateEventW")
	getOverlappedResult = kernel32.NewProc("GetOverlappedResult")
)

const errorIOIncomplete = syscall.Errno(996)

// File is an open handle: a pipe's or a device's. One Read and one Write may be
// under way at a time; further ones wait for their turn.
type File struct {
	handle  syscall.Handle
	reading transfer
	writing transfer

	mu     sync.Mutex
	closed bool
}

// transfer is one direction.
type transfer struct {
	turn        sync.Mutex
	overlapped  syscall.Overlapped
	pending     bool // guarded by the file's lock, as is the next
	interrupted bool
}

// NewFile takes a handle over.
func NewFile(handle syscall.Handle) (*File, error) {
	f := &File{handle: handle}
	for _, t := range []*transfer{&f.reading, &f.writing} {
		const manualReset = 1
		event, _, err := createEvent.Call(0, manualReset, 0, 0)
		if event == 0 {
			f.closeHandles()
			return nil, os.NewSyscallError("CreateEvent", err)
		}
		t.overlapped.HEvent = syscall.Handle(event)
	}
	return f, nil
}

// Handle is the handle itself, which stays the file's.
func (f *File) Handle() syscall.Handle { return f.handle }

// Read implements io.Reader. The end of a pipe or a file is io.EOF.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.transfer(&f.reading, p, syscall.ReadFile)
	if errors.Is(err, syscall.ERROR_BROKEN_PIPE) || errors.Is(err, syscall.ERROR_HANDLE_EOF) {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (f *File) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = f.transfer(&f.writing, p[written:], syscall.WriteFile)
		written += n
	}
	return written, err
}

// SetReadDeadline gives up the Read that waits, and every later one, when the
// time has come, which is now or (the zero time) never.
func (f *File) SetReadDeadline(t time.Time) error { return f.setDeadline(&f.reading, t) }

// SetWriteDeadline is SetReadDeadline for Write.
func (f *File) SetWriteDeadline(t time.Time) error { return f.setDeadline(&f.writing, t) }

func (f *File) setDeadline(t *transfer, deadline time.Time) error {
	if !deadline.IsZero() && time.Until(deadline) > 0 {
		return os.ErrNoDeadline
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return os.ErrClosed
	}
	t.interrupted = !deadline.IsZero()
	if t.interrupted {
		f.cancel(t)
	}
	return nil
}

// cancel needs the lock. A transfer that is just completing is not found.
func (f *File) cancel(t *transfer) {
	if t.pending {
		syscall.CancelIoEx(f.handle, &t.overlapped)
	}
}

// Close gives up what is under way. Idempotent.
func (f *File) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return os.ErrClosed
	}
	f.closed = true
	f.cancel(&f.reading)
	f.cancel(&f.writing)
	f.mu.Unlock()
	f.reading.turn.Lock()
	defer f.reading.turn.Unlock()
	f.writing.turn.Lock()
	defer f.writing.turn.Unlock()
	return f.closeHandles()
}

func (f *File) closeHandles() error {
	for _, t := range []*transfer{&f.reading, &f.writing} {
		if t.overlapped.HEvent != 0 {
			syscall.CloseHandle(t.overlapped.HEvent)
		}
	}
	return os.NewSyscallError("CloseHandle", syscall.CloseHandle(f.handle))
}

type start func(syscall.Handle, []byte, *uint32, *syscall.Overlapped) error

// transfer moves at most len(p) bytes. The buffer may not move meanwhile: the
// kernel has its address.
func (f *File) transfer(t *transfer, p []byte, start start) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	t.turn.Lock()
	defer t.turn.Unlock()
	var pinned runtime.Pinner
	pinned.Pin(&p[0])
	defer pinned.Unpin()
	if err := f.begin(t, p, start); err != nil {
		return 0, f.explain(t, err)
	}
	n := uint32(0)
	const wait = 1
	ok, _, err := getOverlappedResult.Call(
		uintptr(f.handle), uintptr(unsafe.Pointer(&t.overlapped)), uintptr(unsafe.Pointer(&n)), wait)
	f.mu.Lock()
	t.pending = false
	f.mu.Unlock()
	if ok == 0 {
		return int(n), f.explain(t, err)
	}
	return int(n), nil
}

// begin hands the buffer to the kernel. It holds the lock, so that a transfer is
// either refused by an interruption or found by it.
func (f *File) begin(t *transfer, p []byte, start start) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || t.interrupted {
		return syscall.ERROR_OPERATION_ABORTED
	}
	err := start(f.handle, p, nil, &t.overlapped)
	if err != nil && err != syscall.ERROR_IO_PENDING {
		return err
	}
	t.pending = true
	return nil
}

// explain makes Go's error of a transfer that was given up.
func (f *File) explain(t *transfer, err error) error {
	if !errors.Is(err, syscall.ERROR_OPERATION_ABORTED) && !errors.Is(err, errorIOIncomplete) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return os.ErrClosed
	case t.interrupted:
		return os.ErrDeadlineExceeded
	}
	return err
}
