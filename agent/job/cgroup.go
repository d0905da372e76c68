//go:build linux

package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// cgroup is one control group (version 2) and its descriptor.
type cgroup struct {
	path string
	dir  int
}

func newCgroup(path string) (*cgroup, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	dir, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a control group: %w", err)
	}
	return &cgroup{path, dir}, nil
}

// kill sends SIGKILL to every process in the group, whoever forks meanwhile.
func (c *cgroup) kill() error {
	err := os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed: all of it is gone
	}
	return err
}

// remove kills what is left, waits until the group is empty and deletes it.
func (c *cgroup) remove() error {
	defer syscall.Close(c.dir)
	// Most jobs are a single process, which has ended: a group without any can be deleted.
	if syscall.Rmdir(c.path) == nil {
		return nil
	}
	if err := c.kill(); err != nil {
		return err
	}
	if err := c.waitEmpty(); err != nil {
		return err
	}
	return os.Remove(c.path)
}

// waitEmpty watches cgroup.events, which the kernel modifies when the last
// process has gone.
func (c *cgroup) waitEmpty() error {
	events := filepath.Join(c.path, "cgroup.events")
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch a control group: %w", err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close()
	if _, err := syscall.InotifyAddWatch(fd, events, syscall.IN_MODIFY); err != nil {
		return fmt.Errorf("watch a control group: %w", err)
	}
	var buffer [4096]byte
	for {
		state, err := os.ReadFile(events)
		if err != nil {
			return err
		}
		if bytes.Contains(state, []byte("populated 0")) {
			return nil
		}
		if _, err := watch.Read(buffer[:]); err != nil {
			return fmt.Errorf("watch a control group: %w", err)
		}
	}
}
