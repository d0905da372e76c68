package port

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"linwin/agent/overlapped"
	"linwin/agent/session"
)

// What vioserial answers while no host holds the other side, and while the host
// does not read (winerror.h).
const (
	errorNoSystemResources = syscall.Errno(1450)
	errorCantWait          = syscall.Errno(554)
	errorPipeNotConnected  = syscall.Errno(233)
	errorNoData            = syscall.Errno(232)
	errorPipeBusy          = syscall.Errno(231)
)

const (
	// appearTimeout is how long the port's name may take to appear at boot.
	appearTimeout = 60 * time.Second
	// lookAgain is how long to wait before asking a driver again that has no event
	// for what is waited for.
	lookAgain = 250 * time.Millisecond
	// ringTimeout is the same for a full ring, which the host empties soon.
	ringTimeout = 5 * time.Millisecond
)

// Virtio is an opened virtio-serial port, or a named pipe that stands for one.
type Virtio struct {
	name   string
	hungUp bool // the last Read said so

	mu   sync.Mutex
	file *overlapped.File
}

var _ session.Link = (*Virtio)(nil)

// OpenVirtio opens a port by its Windows name. The name may still be to come.
func OpenVirtio(name string) (*Virtio, error) {
	v := &Virtio{name: name}
	return v, v.open()
}

func (v *Virtio) open() error {
	for began := time.Now(); ; <-time.After(lookAgain) {
		file, err := overlapped.Open(v.name)
		if err == nil {
			v.mu.Lock()
			v.file = file
			v.mu.Unlock()
			return nil
		}
		absent := errors.Is(err, syscall.ERROR_FILE_NOT_FOUND) || errors.Is(err, errorPipeBusy)
		if !absent || time.Since(began) > appearTimeout {
			return fmt.Errorf("open the port: %w", err)
		}
	}
}

func (v *Virtio) current() *overlapped.File {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.file
}

// String is the port's name.
func (v *Virtio) String() string { return v.name }

// Read implements session.Link. A port whose host has gone fails each Read at once
// and shows no event when the next host comes.
func (v *Virtio) Read(p []byte) (int, error) {
	for {
		n, err := v.current().Read(p)
		switch {
		case err == nil && n > 0:
			v.hungUp = false
			return n, nil
		case gone(err):
			if again := v.reopen(); again != nil {
				return 0, again
			}
		case err != nil && !errors.Is(err, errorNoSystemResources):
			return 0, fmt.Errorf("read the port: %w", err)
		}
		if !v.hungUp {
			v.hungUp = true
			return 0, session.ErrHangup
		}
		<-time.After(lookAgain)
	}
}

// gone tells an end, after which the handle is of no more use.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, errorPipeNotConnected) || errors.Is(err, errorNoData)
}

func (v *Virtio) reopen() error {
	v.current().Close()
	return v.open()
}

// Write implements session.Link. It waits while the host does not read.
func (v *Virtio) Write(p []byte) (written int, err error) {
	for {
		n, err := v.current().Write(p[written:])
		written += n
		switch {
		case errors.Is(err, errorCantWait):
			<-time.After(ringTimeout)
		case errors.Is(err, errorNoSystemResources), errors.Is(err, os.ErrClosed), gone(err):
			return written, session.ErrHangup
		default:
			return written, err
		}
	}
}

// SetWriteDeadline implements session.Link.
func (v *Virtio) SetWriteDeadline(t time.Time) error {
	if err := v.current().SetWriteDeadline(t); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
