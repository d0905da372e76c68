// Package port holds the ways in which a host reaches the agent: a virtio-serial
// port in a guest, a socket where the agent runs as a plain process.
package port

import (
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"linwin/agent/session"
)

// Listener serves one host connection at a time on a socket and behaves as a
// virtio-serial port does: bytes for no host are an error, hang-ups are seen.
type Listener struct {
	listener net.Listener

	mu   sync.Mutex
	conn net.Conn
}

var _ session.Link = (*Listener)(nil)

// Listen makes the socket: of TCP where the address is HOST:PORT, otherwise a unix
// socket at that path.
func Listen(address string) (*Listener, error) {
	network := "unix"
	if _, _, err := net.SplitHostPort(address); err == nil && !strings.ContainsAny(address, `/\`) {
		network = "tcp"
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return &Listener{listener: listener}, nil
}

// String is the address: of TCP, with the port that the system chose for 0.
func (l *Listener) String() string { return l.listener.Addr().String() }

// Read implements session.Link. It accepts the next host after a hang-up.
func (l *Listener) Read(p []byte) (int, error) {
	conn := l.current()
	if conn == nil {
		var err error
		if conn, err = l.listener.Accept(); err != nil {
			return 0, err
		}
		l.set(conn)
	}
	n, err := conn.Read(p)
	if err != nil {
		l.set(nil)
		conn.Close()
		err = session.ErrHangup
	}
	return n, err
}

// Write implements session.Link.
func (l *Listener) Write(p []byte) (int, error) {
	conn := l.current()
	if conn == nil {
		return 0, session.ErrHangup
	}
	n, err := conn.Write(p)
	var timeout net.Error
	if err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		err = session.ErrHangup
	}
	return n, err
}

// SetWriteDeadline implements session.Link.
func (l *Listener) SetWriteDeadline(t time.Time) error {
	conn := l.current()
	if conn == nil {
		return nil
	}
	if err := conn.SetWriteDeadline(t); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (l *Listener) current() net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

func (l *Listener) set(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = conn
}
