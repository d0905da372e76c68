//go:build linux

package port

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"linwin/agent/quick"
	"linwin/agent/session"
)

// Virtio is an opened virtio-serial port.
type Virtio struct {
	file   *os.File
	raw    syscall.RawConn
	hungUp bool // the last Read said so
}

var _ session.Link = (*Virtio)(nil)

// OpenVirtio opens a port's device node.
func OpenVirtio(path string) (*Virtio, error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the port: %w", err)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("open the port: %w", err)
	}
	return &Virtio{file: file, raw: raw}, nil
}

// String is the device's node.
func (v *Virtio) String() string { return v.file.Name() }

// Read implements session.Link. The port reads as ended while no host holds the
// other side; the poller is edge-triggered, so waiting for the next edge waits
// for the next host without spinning.
func (v *Virtio) Read(p []byte) (n int, err error) {
	waitErr := v.raw.Read(func(fd uintptr) bool {
		n, err = quick.Read(fd, p)
		switch {
		case err == syscall.EAGAIN:
			return false
		case err == nil && n == 0:
			// Said once; then an edge means that a host has come.
			return !v.hungUp
		}
		return true
	})
	switch {
	case waitErr != nil:
		return 0, waitErr
	case err != nil:
		return 0, fmt.Errorf("read the port: %w", err)
	case n == 0:
		v.hungUp = true
		return 0, session.ErrHangup
	}
	v.hungUp = false
	return n, nil
}

// Write implements session.Link. It waits while no host is there, or the host
// does not read.
func (v *Virtio) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		var n int
		var err error
		waitErr := v.raw.Write(func(fd uintptr) bool {
			n, err = quick.Write(fd, p[written:])
			return err != syscall.EAGAIN
		})
		written += n
		if waitErr != nil {
			return written, waitErr
		}
		if err != nil {
			return written, fmt.Errorf("write to the port: %w", err)
		}
	}
	return written, nil
}

// SetWriteDeadline implements session.Link.
func (v *Virtio) SetWriteDeadline(t time.Time) error { return v.file.SetWriteDeadline(t) }
