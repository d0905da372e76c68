//go:build unix

package main

import (
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
	"unsafe"
)

func commandLine() string { return strings.Join(os.Args, " ") }

// inherited names the descriptors behind the standard ones that this program was
// started with; what Go's runtime opens itself is closed on exec.
func inherited() string {
	entries, err := os.ReadDir("/proc/self/fd")
	check(err)
	var found []string
	for _, entry := range entries {
		fd := entry.Name()
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(number(fd)), syscall.F_GETFD, 0)
		if fd > "2" && errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			found = append(found, fd)
		}
	}
	sort.Strings(found)
	return fmt.Sprint(found)
}

// follow prints the size of its terminal now and at each change.
func follow() int {
	changed := make(chan os.Signal, 8)
	signal.Notify(changed, syscall.SIGWINCH)
	for {
		var size [4]uint16
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 1, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
		if errno != 0 {
			check(errno)
		}
		say(os.Stdout, []string{fmt.Sprintf("size %d %d", size[0], size[1])})
		<-changed
	}
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// handlesOf counts the open descriptors of a process.
func handlesOf(pid int) int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	check(err)
	return len(entries)
}
