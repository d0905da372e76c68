//go:build linux

package boot

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Reseed mixes random bytes into the kernel's generator and has it start anew
// from them at once: a restored guest would otherwise go on with the numbers
// that its siblings get as well.
func Reseed(entropy []byte) error {
	const ( // linux/random.h
		addEntropy = 0x40085203 // RNDADDENTROPY
		reseed     = 0x5207     // RNDRESEEDCRNG
	)
	pool, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer pool.Close()
	info := binary.NativeEndian.AppendUint32(nil, uint32(8*len(entropy))) // struct rand_pool_info
	info = binary.NativeEndian.AppendUint32(info, uint32(len(entropy)))
	info = append(info, entropy...)
	if err := ioctl(pool, addEntropy, unsafe.Pointer(&info[0])); err != nil {
		return fmt.Errorf("add entropy: %w", err)
	}
	if err := ioctl(pool, reseed, nil); err != nil {
		return fmt.Errorf("reseed: %w", err)
	}
	return nil
}

func ioctl(file *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
