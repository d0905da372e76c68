//go:build linux

package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	linkEvents = 1       // RTMGRP_LINK
	largest    = 1 << 16 // of what the kernel sends at once
)

// socket is a conversation with the kernel about the guest's networks.
type socket struct {
	fd       int
	sequence uint32
	buffer   []byte
}

// dial opens a conversation; groups are the events to be told as well.
func dial(groups uint32) (*socket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groups}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("bind a netlink socket: %w", err)
	}
	return &socket{fd: fd, buffer: make([]byte, largest)}, nil
}

func (s *socket) close() error { return syscall.Close(s.fd) }

// do sends a message and returns the kernel's word on it.
func (s *socket) do(m message) error {
	if err := s.send(m); err != nil {
		return err
	}
	for {
		answers, err := s.receive()
		if err != nil {
			return err
		}
		for _, answer := range answers {
			if answer.Header.Seq == s.sequence && answer.Header.Type == syscall.NLMSG_ERROR {
				return verdict(answer)
			}
		}
	}
}

func (s *socket) send(m message) error {
	s.sequence++
	return syscall.Sendto(s.fd, m.encode(s.sequence), 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK})
}

func (s *socket) receive() ([]syscall.NetlinkMessage, error) {
	for {
		n, _, err := syscall.Recvfrom(s.fd, s.buffer, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		return syscall.ParseNetlinkMessage(s.buffer[:n])
	}
}

// verdict reads an acknowledgement: the negative number of an error, or 0.
func verdict(answer syscall.NetlinkMessage) error {
	if len(answer.Data) < 4 {
		return errors.New("the kernel's answer is cut off")
	}
	if number := int32(binary.NativeEndian.Uint32(answer.Data)); number != 0 {
		return syscall.Errno(-number)
	}
	return nil
}

// awaitCarrier returns once an interface that is up can send. A virtual NIC's link
// comes a moment after its device, and what is sent before that is lost: a program
// would wait a second until it is sent again.
func awaitCarrier(index int, limit time.Duration) error {
	s, err := dial(linkEvents)
	if err != nil {
		return err
	}
	defer s.close()
	deadline := time.Now().Add(limit)
	if err := s.send(link(syscall.RTM_GETLINK, index, 0, 0)); err != nil {
		return err
	}
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		wait := syscall.NsecToTimeval(max(left.Nanoseconds(), 1000))
		if err := syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait); err != nil {
			return err
		}
		answers, err := s.receive()
		switch err {
		case nil, syscall.EAGAIN:
		case syscall.ENOBUFS: // some were missed
			err = s.send(link(syscall.RTM_GETLINK, index, 0, 0))
		}
		if err != nil && err != syscall.EAGAIN {
			return err
		}
		for _, answer := range answers {
			if running, err := isRunning(answer, index); running || err != nil {
				return err
			}
		}
	}
}

// isRunning tells whether a message says that an interface can send.
func isRunning(answer syscall.NetlinkMessage, index int) (bool, error) {
	if answer.Header.Type == syscall.NLMSG_ERROR {
		return false, verdict(answer)
	}
	if len(answer.Data) < syscall.SizeofIfInfomsg || binary.NativeEndian.Uint32(answer.Data[4:]) != uint32(index) {
		return false, nil
	}
	if answer.Header.Type == syscall.RTM_DELLINK {
		return false, syscall.ENODEV
	}
	return binary.NativeEndian.Uint32(answer.Data[8:])&syscall.IFF_RUNNING != 0, nil
}
