//go:build linux

// Package device finds the guest's devices by the names that the host gave them,
// and waits for those that are still to come.
package device

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// netlinkUevents is NETLINK_KOBJECT_UEVENT; its group 1 is the kernel's own.
const netlinkUevents = 15

// Disk returns the device node of the virtio disk with a serial number.
func Disk(serial string, timeout time.Duration) (string, error) {
	if serial == "" {
		return "", fmt.Errorf("no serial number was given")
	}
	return await(fmt.Sprintf("no disk has the serial number %q", serial), timeout, func() string {
		return openable(named("/sys/block/*/serial", serial))
	})
}

// openable returns a disk's node once it can be opened. The kernel shows a disk
// in sysfs a little before that (ENXIO), and sends the event a little after.
func openable(node string) string {
	if node == "" {
		return ""
	}
	disk, err := os.Open(node)
	if err != nil {
		return ""
	}
	disk.Close()
	return node
}

// Port returns the device node of the virtio-serial port with a name.
func Port(name string, timeout time.Duration) (string, error) {
	return await(fmt.Sprintf("no port is named %q", name), timeout, func() string {
		return named("/sys/class/virtio-ports/*/name", name)
	})
}

// NIC returns the network interface with an address.
func NIC(mac net.HardwareAddr, timeout time.Duration) (string, error) {
	return await(fmt.Sprintf("no NIC has the address %s", mac), timeout, func() string {
		nic, err := FindNIC(mac)
		if err != nil || nic == nil {
			return "" // one that came or went in between: there is an event of it
		}
		return nic.Name
	})
}

// FindNIC returns the network interface that has an address now, or nil.
func FindNIC(mac net.HardwareAddr) (*net.Interface, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range interfaces {
		if bytes.Equal(i.HardwareAddr, mac) {
			return &i, nil
		}
	}
	return nil, nil
}

// named finds the device whose attribute has a value.
func named(pattern, value string) string {
	attributes, err := filepath.Glob(pattern)
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, attribute := range attributes {
		content, err := os.ReadFile(attribute)
		if err == nil && strings.TrimSpace(string(content)) == value {
			return filepath.Join("/dev", filepath.Base(filepath.Dir(attribute)))
		}
	}
	return ""
}

// await looks now and after each of the kernel's device events. It listens
// before it looks first, so that no device can come in between.
func await(missing string, timeout time.Duration, look func() string) (string, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, netlinkUevents)
	if err != nil {
		return "", fmt.Errorf("listen for device events: %w", err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: 1}); err != nil {
		return "", fmt.Errorf("listen for device events: %w", err)
	}
	deadline := time.Now().Add(timeout)
	var event [8192]byte
	for {
		if found := look(); found != "" {
			return found, nil
		}
		left := time.Until(deadline)
		if left <= 0 {
			return "", fmt.Errorf("%s after %v", missing, timeout)
		}
		limit := syscall.NsecToTimeval(max(left.Nanoseconds(), 1000))
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit); err != nil {
			return "", fmt.Errorf("listen for device events: %w", err)
		}
		_, _, err := syscall.Recvfrom(fd, event[:], 0)
		switch err {
		case nil, syscall.EAGAIN, syscall.EINTR, syscall.ENOBUFS: // some were missed: look anyway
		default:
			return "", fmt.Errorf("listen for device events: %w", err)
		}
	}
}
