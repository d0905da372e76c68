package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"linwin/agent/wire"
)

// terminal is a pseudo-terminal (pty(7)): the agent has the master, the program
// the slave.
type terminal struct{ master *os.File }

// openTerminal makes a terminal of the given size the standard handles. What is
// printed to it, whatever the handle, is stdout.
func openTerminal(size wire.Size, files *Stdio) (*terminal, error) {
	t, slave, err := openPair(size)
	if err != nil {
		return nil, err
	}
	files.Child = [3]*os.File{slave, slave, slave}
	files.Own = [3]Pipe{t.master, t.master}
	return t, nil
}

func openPair(size wire.Size) (t *terminal, slave *os.File, err error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, wire.Errorf(wire.Unavailable, "make a terminal: %v", err)
	}
	t = &terminal{master}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	var number, unlocked uint32
	if err = ioctl(master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked)); err != nil {
		return nil, nil, err
	}
	if err = ioctl(master, syscall.TIOCGPTN, unsafe.Pointer(&number)); err != nil {
		return nil, nil, err
	}
	if err = t.resize(size); err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, wire.Errorf(wire.Unavailable, "open a terminal: %v", err)
	}
	return t, slave, nil
}

// close has nothing left to do: the master was the output's to close.
func (*terminal) close() {}

// resize also signals the change (SIGWINCH) to the programs in the terminal.
func (t *terminal) resize(size wire.Size) error {
	var winsize = [4]uint16{size.Rows, size.Columns}
	err := ioctl(t.master, syscall.TIOCSWINSZ, unsafe.Pointer(&winsize))
	if err != nil && closed(t.master) {
		return nil // the program has ended meanwhile
	}
	return err
}

// MakeRaw takes the kernel's line editing out of a terminal (cfmakeraw(3)): no
// echo, no line, no key that is a signal, no newline that becomes two.
func MakeRaw(slave *os.File) error {
	var mode syscall.Termios
	if err := ioctl(slave, syscall.TCGETS, unsafe.Pointer(&mode)); err != nil {
		return err
	}
	mode.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.PARMRK | syscall.ISTRIP |
		syscall.INLCR | syscall.IGNCR | syscall.ICRNL | syscall.IXON
	mode.Oflag &^= syscall.OPOST
	mode.Lflag &^= syscall.ECHO | syscall.ECHONL | syscall.ICANON | syscall.ISIG | syscall.IEXTEN
	return ioctl(slave, syscall.TCSETS, unsafe.Pointer(&mode))
}

// closed asks in a way that has a name for it: Control's own error has none.
func closed(file *os.File) bool {
	_, err := file.Stat()
	return errors.Is(err, os.ErrClosed)
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	})
	if err == nil && errno != 0 {
		err = fmt.Errorf("set up a terminal: %w", errno)
	}
	return err
}
