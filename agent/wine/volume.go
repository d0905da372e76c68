//go:build linux

package wine

import (
	"fmt"
	"log"
	"os"
	"syscall"

	"linwin/agent/device"
	"linwin/agent/ntfs"
	"linwin/agent/wire"
)

// mostAhead bounds what is read of a volume before it is mounted: the map of one of 256 GiB.
const mostAhead = 8 << 20

// mount mounts the disk that is C:. windows_names, because ntfs3 would make a
// file out of the name of a stream or a device. No nocase, since in 6.12 each
// look-up in another case than the file's fails and marks the volume dirty; Wine
// finds names in any case by itself. No force: what is on a dirty volume may not
// fit together. sparse, prealloc and acl would change what files look like.
func mount(serial, folder string) error {
	disk, err := device.Disk(serial, diskTimeout)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "find the C: disk: %v", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := os.Open(disk)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "open C: at %s: %v", disk, err)
	}
	defer file.Close()
	volume, err := ntfs.Open(file)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "mount C: from %s: %v", disk, err)
	}
	ahead, err := readAhead(file, volume)
	if err != nil {
		log.Printf("the clusters of C: are not read ahead: %v", err) // what is wrong, the mount tells
	}
	defer ahead.release()
	options := "iocharset=utf8,windows_names,discard"
	if err := syscall.Mount(disk, folder, "ntfs3", syscall.MS_NOATIME, options); err != nil {
		if dirty, _ := volume.Dirty(); dirty {
			return wire.Errorf(wire.Unavailable, "C: was not closed when the container's machine ended last, and what is "+
				"on it may not fit together: the container cannot be started again, create another")
		}
		return wire.Errorf(wire.Unavailable, "mount C: from %s: %v", disk, err)
	}
	log.Printf("%s is %s (%s)", folder, disk, serial)
	return nil
}

// ahead keeps pages of a disk in the kernel's cache.
type ahead [][]byte

// readAhead gets a volume's map of clusters into the kernel's cache. ntfs3 reads all of it at
// each mount, and waits for every 4 KiB alone: 320 times for 40 GiB, most of a mount. Pages that
// were only read would be gone before, since it empties the disk's cache once it has looked at
// the journal; those that somebody has mapped stay. Nobody looks into them here, so that a disk
// that fails harms none but its mount.
func readAhead(file *os.File, volume *ntfs.Volume) (ahead, error) {
	extents, err := volume.Bitmap()
	if err != nil {
		return nil, err
	}
	var kept ahead
	left := int64(mostAhead)
	for _, e := range extents {
		if left -= e.Length; left < 0 {
			break
		}
		mapped, err := mapAhead(file, e)
		if err != nil {
			return kept, err
		}
		kept = append(kept, mapped)
	}
	return kept, nil
}

// mapAhead has a part of a disk read by few large requests, and maps it.
func mapAhead(file *os.File, e ntfs.Extent) ([]byte, error) {
	page := int64(os.Getpagesize())
	begin := e.Offset / page * page
	size := e.Offset + e.Length - begin
	if _, _, errno := syscall.Syscall(syscall.SYS_READAHEAD, file.Fd(), uintptr(begin), uintptr(size)); errno != 0 {
		return nil, fmt.Errorf("read ahead: %w", errno)
	}
	const populated = syscall.MAP_SHARED | syscall.MAP_POPULATE
	mapped, err := syscall.Mmap(int(file.Fd()), begin, int(size), syscall.PROT_READ, populated)
	if err != nil {
		return nil, fmt.Errorf("map what was read ahead: %w", err)
	}
	return mapped, nil
}

// release lets the kernel drop the pages again.
func (a ahead) release() {
	for _, mapped := range a {
		if err := syscall.Munmap(mapped); err != nil {
			log.Printf("unmap what was read ahead: %v", err)
		}
	}
}
