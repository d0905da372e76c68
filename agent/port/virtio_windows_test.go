package port

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"linwin/agent/session"
)

// host is the other side of a named pipe that stands for a port.
type host struct{ handle syscall.Handle }

var (
	kernel32            = syscall.NewLazyDLL("kernel32.dll")
	createNamedPipe     = kernel32.NewProc("CreateNamedPipeW")
	connectNamedPipe    = kernel32.NewProc("ConnectNamedPipe")
	disconnectNamedPipe = kernel32.NewProc("DisconnectNamedPipe")
)

func newHost(t *testing.T, name string) host {
	t.Helper()
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		t.Fatal(err)
	}
	const duplex, size = 3, 4096
	handle, _, err := createNamedPipe.Call(uintptr(unsafe.Pointer(wide)), duplex, 0, 1, size, size, 0, 0)
	if syscall.Handle(handle) == syscall.InvalidHandle {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.CloseHandle(syscall.Handle(handle)) })
	return host{syscall.Handle(handle)}
}

func (h host) write(t *testing.T, text string) {
	t.Helper()
	var n uint32
	if err := syscall.WriteFile(h.handle, []byte(text), &n, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAPortIsReadWrittenAndOpenedAgainAfterAHangUp(t *testing.T) {
	const name = `\\.\pipe\linwin-port-test`
	h := newHost(t, name)
	port, err := OpenVirtio(name)
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, "hello")
	got := make([]byte, 64)
	if n, err := port.Read(got); string(got[:n]) != "hello" || err != nil {
		t.Fatalf("read %q, %v", got[:n], err)
	}
	if n, err := port.Write([]byte("answer")); n != 6 || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	var n uint32
	if err := syscall.ReadFile(h.handle, got, &n, nil); string(got[:n]) != "answer" || err != nil {
		t.Fatalf("the host read %q, %v", got[:n], err)
	}
	disconnectNamedPipe.Call(uintptr(h.handle))
	again := make(chan struct{})
	go func() {
		connectNamedPipe.Call(uintptr(h.handle), 0) // fails when the port came first
		close(again)
	}()
	if _, err := port.Read(got); !errors.Is(err, session.ErrHangup) {
		t.Fatalf("a read after the hang-up: %v", err)
	}
	<-again
	h.write(t, "once more")
	if n, err := port.Read(got); string(got[:n]) != "once more" || err != nil {
		t.Fatalf("read %q, %v", got[:n], err)
	}
}

func TestAWriteToAHostThatDoesNotReadIsInterrupted(t *testing.T) {
	const name = `\\.\pipe\linwin-port-test-write`
	newHost(t, name)
	port, err := OpenVirtio(name)
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, err := port.Write(make([]byte, 1<<20))
		failed <- err
	}()
	if err := port.SetWriteDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}
