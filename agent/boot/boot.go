//go:build linux

// Package boot takes a guest from the kernel's first process to the root disk:
// what an initramfs's scripts do elsewhere.
package boot

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"linwin/agent/device"
)

const (
	rootSerial  = "linwin-root"
	rootTimeout = 30 * time.Second
	newRoot     = "/newroot"
	modules     = "/modules"
)

type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// Root makes the root disk this process's root. On return the kernel's file
// systems, cgroup2, terminals, and empty /run and /tmp are mounted.
func Root() error {
	kernel := []mount{
		{"dev", "/dev", "devtmpfs", syscall.MS_NOSUID, "mode=0755"},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NOEXEC | syscall.MS_NODEV, ""},
		{"sys", "/sys", "sysfs", syscall.MS_NOSUID | syscall.MS_NOEXEC | syscall.MS_NODEV, ""},
	}
	if err := mountAll(kernel); err != nil {
		return err
	}
	if err := openConsole(); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	disk, err := device.Disk(rootSerial, rootTimeout)
	if err != nil {
		return fmt.Errorf("find the root disk: %w", err)
	}
	if err := mountAll([]mount{{disk, newRoot, "erofs", syscall.MS_RDONLY, ""}}); err != nil {
		return err
	}
	if err := switchRoot(kernel); err != nil {
		return err
	}
	log.Printf("root is %s", disk)
	return mountAll([]mount{
		{"cgroup", "/sys/fs/cgroup", "cgroup2", syscall.MS_NOSUID | syscall.MS_NOEXEC | syscall.MS_NODEV, ""},
		{"run", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=0755"},
		{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, "mode=0620,ptmxmode=0666"},
		{"tmp", "/tmp", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=1777"},
	})
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		// The folder exists on the read-only root, and may be missing in the initramfs.
		if err := os.MkdirAll(m.target, 0o755); err != nil && !errors.Is(err, syscall.EROFS) {
			return err
		}
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
		}
	}
	return nil
}

// openConsole lets log lines reach the serial console: the initramfs has no
// device nodes from which the kernel could have opened it.
func openConsole() error {
	fd, err := syscall.Open("/dev/console", syscall.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("open the console: %w", err)
	}
	for target := range 3 {
		if target != fd {
			if err := syscall.Dup3(fd, target, 0); err != nil {
				return fmt.Errorf("open the console: %w", err)
			}
		}
	}
	if fd > 2 {
		return syscall.Close(fd)
	}
	return nil
}

// loadModules loads the modules in the order that the template's build found.
// A module may find no hardware in this machine, which is no error.
func loadModules() error {
	order, err := os.Open(filepath.Join(modules, "order"))
	if err != nil {
		return err
	}
	defer order.Close()
	lines := bufio.NewScanner(order)
	for lines.Scan() {
		name := lines.Text()
		err := loadModule(filepath.Join(modules, name))
		if err != nil && !errors.Is(err, syscall.EEXIST) && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("load module %s: %w", name, err)
		}
	}
	return lines.Err()
}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	const sysFinitModule = 313 // missing in package syscall
	parameters := [1]byte{}
	_, _, errno := syscall.Syscall(sysFinitModule, file.Fd(), uintptr(unsafe.Pointer(&parameters)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// switchRoot moves the mounts below the new root, frees the initramfs, which is
// memory, and makes the new root this process's.
func switchRoot(kernel []mount) error {
	for _, m := range kernel {
		if err := syscall.Mount(m.target, newRoot+m.target, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", m.target, err)
		}
	}
	if err := errors.Join(os.RemoveAll(modules), os.Remove("/init")); err != nil {
		return err
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	return os.Chdir("/")
}

// Loopback brings the loopback interface up.
func Loopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up loopback: %w", err)
	}
	defer syscall.Close(fd)
	request := struct { // struct ifreq of netdevice(7)
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP}
	copy(request.name[:], "lo")
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("bring up loopback: %w", errno)
	}
	return nil
}

// PowerOff ends the machine. It returns only when the kernel refuses.
func PowerOff() error {
	syscall.Sync()
	return syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}
