// Package session speaks the protocol with one host at a time: hello, requests,
// streams, heartbeats. protocol/README.md is the specification.
package session

import (
	"errors"
	"time"
)

// ErrHangup is what a Link's Read and Write return when the host has gone. The
// Link stays usable: the next Read waits for the host to come back.
var ErrHangup = errors.New("the host hung up")

// Link is the port to the host.
type Link interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	// SetWriteDeadline interrupts a Write that waits for the host.
	SetWriteDeadline(t time.Time) error
}
