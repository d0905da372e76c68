package archive

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// What the kernel's ntfs3 shows of a file beside POSIX (fs/ntfs3/xattr.c). It
// has no way to set when a file was created, and none to its alternate streams.
const (
	attributesName = "system.ntfs_attrib"
	securityName   = "system.ntfs_security"
	largest        = 64 << 10

	// settable are the attributes that describe a file; others tell how it is stored.
	settable = 0x1 | 0x2 | 0x4 | 0x20 | 0x80 | 0x100 | 0x1000 | 0x2000

	sysStatx       = 332
	atEmptyPath    = 0x1000
	statxBtime     = 0x800
	statxSize      = 256
	statxBtimeAt   = 80
	statxBtimeNSAt = 88
)

// read asks for what NTFS keeps of an open file. Another file system knows none
// of it, and that is no error.
func read(f *os.File) (metadata, error) {
	var kept metadata
	buffer := make([]byte, largest)
	n, err := attribute(syscall.SYS_FGETXATTR, f, attributesName, buffer)
	if err != nil {
		return kept, err
	}
	if n == 4 {
		kept.attributes, kept.known = binary.LittleEndian.Uint32(buffer), true
	}
	n, err = attribute(syscall.SYS_FGETXATTR, f, securityName, buffer)
	if err != nil {
		return kept, err
	}
	kept.security = append([]byte(nil), buffer[:n]...)
	if kept.known {
		kept.created, err = birth(f)
	}
	return kept, err
}

// write gives an open file attributes and a security descriptor, where it is on
// NTFS.
func write(f *os.File, kept metadata) error {
	if len(kept.security) > 0 {
		if _, err := attribute(syscall.SYS_FSETXATTR, f, securityName, kept.security); err != nil {
			return err
		}
	}
	if !kept.known {
		return nil
	}
	value := binary.LittleEndian.AppendUint32(nil, kept.attributes&settable)
	_, err := attribute(syscall.SYS_FSETXATTR, f, attributesName, value)
	return err
}

// attribute gets or sets an extended attribute: 0 bytes where there is none.
func attribute(call uintptr, f *os.File, name string, value []byte) (int, error) {
	text, err := syscall.BytePtrFromString(name)
	if err != nil {
		return 0, err
	}
	n, _, errno := syscall.Syscall6(
		call, f.Fd(), uintptr(unsafe.Pointer(text)), uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)), 0, 0,
	)
	if errno == syscall.ENODATA || errno == syscall.EOPNOTSUPP {
		return 0, nil
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// birth tells when a file was created.
func birth(f *os.File) (time.Time, error) {
	var buffer [statxSize]byte
	var empty [1]byte
	_, _, errno := syscall.Syscall6(
		sysStatx, f.Fd(), uintptr(unsafe.Pointer(&empty[0])), atEmptyPath, statxBtime,
		uintptr(unsafe.Pointer(&buffer[0])), 0,
	)
	if errno != 0 {
		return time.Time{}, errors.Join(errors.New("statx"), errno)
	}
	if binary.LittleEndian.Uint32(buffer[:])&statxBtime == 0 {
		return time.Time{}, nil
	}
	return time.Unix(
		int64(binary.LittleEndian.Uint64(buffer[statxBtimeAt:])), int64(binary.LittleEndian.Uint32(buffer[statxBtimeNSAt:])),
	), nil
}
