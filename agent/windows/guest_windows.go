package windows

import (
	"fmt"
	"log"
	"os"
	"syscall"
	"time"
	"unsafe"

	"linwin/agent/session"
	"linwin/agent/wire"
)

var (
	setSystemTime      = kernel32.NewProc("SetSystemTime")
	setComputerNameEx  = kernel32.NewProc("SetComputerNameExW")
	dnsToComputerName  = kernel32.NewProc("DnsHostnameToComputerNameW")
	regFlushKey        = advapi32.NewProc("RegFlushKey")
	physicalDNSHost    = uintptr(5) // ComputerNamePhysicalDnsHostname of sysinfoapi.h
	longestNetBIOSName = uint32(15)
)

const (
	errorInvalidFunction = syscall.Errno(1)
	errorNoMoreItems     = syscall.Errno(259)
)

// Guest prepares and shuts down a Windows guest.
type Guest struct{ Kind *Kind }

var (
	_ session.Guest = (*Guest)(nil)
	_ session.Clock = (*Guest)(nil)
)

// Warm implements session.Guest. What programs need runs since Windows started.
func (*Guest) Warm() error { return nil }

// Rehearse implements session.Guest. No Windows guest waits for its container.
func (*Guest) Rehearse(wire.Rehearsal) error { return nil }

// SetClock implements session.Clock.
func (*Guest) SetClock(timeNS int64) (aheadNS int64, err error) {
	wanted := time.Unix(0, timeNS)
	ahead := time.Since(wanted)
	if err := setClock(wanted); err != nil {
		return 0, wire.Errorf(wire.Unavailable, "set the clock: %v", err)
	}
	return int64(ahead), nil
}

// Prepare implements session.Guest. C: is what Windows booted from. The entropy is
// not used: Windows mixes none into its kernel's generator for a program, and
// that starts anew by itself when the machine's generation id (vmgenid) changes.
func (g *Guest) Prepare(p wire.Preparation) error {
	if err := setClock(time.Unix(0, p.TimeNS)); err != nil {
		return wire.Errorf(wire.Invalid, "set the clock: %v", err)
	}
	if err := g.setName(p.Hostname); err != nil {
		return wire.Errorf(wire.Invalid, "set the host name to %q: %v", p.Hostname, err)
	}
	return nil
}

func setClock(now time.Time) error {
	now = now.UTC()
	system := syscall.Systemtime{
		Year: uint16(now.Year()), Month: uint16(now.Month()), Day: uint16(now.Day()),
		Hour: uint16(now.Hour()), Minute: uint16(now.Minute()), Second: uint16(now.Second()),
		Milliseconds: uint16(now.Nanosecond() / int(time.Millisecond)),
	}
	if ok, _, err := setSystemTime.Call(uintptr(unsafe.Pointer(&system))); ok == 0 {
		return os.NewSyscallError("SetSystemTime", err)
	}
	return nil
}

// setName names the guest. Windows goes by the new name when it boots next; the
// programs that the agent starts are told at once.
func (g *Guest) setName(hostname string) error {
	wide, err := syscall.UTF16PtrFromString(hostname)
	if err != nil {
		return err
	}
	if ok, _, err := setComputerNameEx.Call(physicalDNSHost, uintptr(unsafe.Pointer(wide))); ok == 0 {
		return os.NewSyscallError("SetComputerNameEx", err)
	}
	length := longestNetBIOSName + 1
	computer := make([]uint16, length)
	ok, _, err := dnsToComputerName.Call(uintptr(unsafe.Pointer(wide)),
		uintptr(unsafe.Pointer(&computer[0])), uintptr(unsafe.Pointer(&length)))
	if ok == 0 {
		return os.NewSyscallError("DnsHostnameToComputerName", err)
	}
	name := syscall.UTF16ToString(computer)
	g.Kind.hostname.Store(&name)
	return nil
}

// Flush implements session.Guest.
func (*Guest) Flush() error { return writeOut() }

// Shutdown implements session.Guest. Windows goes on running on C:.
func (*Guest) Shutdown() error { return writeOut() }

// writeOut has Windows write what it has yet to write to the registry and to C:.
func writeOut() error {
	if err := flushRegistry(); err != nil {
		return wire.Errorf(wire.Unavailable, "flush the registry: %v", err)
	}
	if err := flush(os.Getenv("SystemDrive")); err != nil {
		return err
	}
	log.Print("C: is written out")
	return nil
}

// flushRegistry writes each hive that layers have deltas of, and those of all users who are
// logged on. It is a hive that is flushed, by any of its keys: the roots are in none on the disk.
func flushRegistry() error {
	for _, name := range []string{"SOFTWARE", "SYSTEM", "SAM", "SECURITY"} {
		if err := flushKey(syscall.HKEY_LOCAL_MACHINE, name); err != nil {
			return fmt.Errorf("HKLM\\%s: %w", name, err)
		}
	}
	users, err := subkeys(syscall.HKEY_USERS)
	if err != nil {
		return fmt.Errorf("HKU: %w", err)
	}
	for _, name := range users {
		if err := flushKey(syscall.HKEY_USERS, name); err != nil {
			return fmt.Errorf("HKU\\%s: %w", name, err)
		}
	}
	return nil
}

// flushKey returns when the hive of a key is on the disk. One that does not exist has nothing to write.
func flushKey(root syscall.Handle, name string) error {
	wide, err := syscall.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	var key syscall.Handle
	err = syscall.RegOpenKeyEx(root, wide, 0, syscall.KEY_QUERY_VALUE, &key)
	if err == syscall.ERROR_FILE_NOT_FOUND {
		return nil
	}
	if err != nil {
		return err
	}
	defer syscall.RegCloseKey(key)
	if code, _, _ := regFlushKey.Call(uintptr(key)); code != 0 {
		return syscall.Errno(code)
	}
	return nil
}

// subkeys names the keys right below one.
func subkeys(key syscall.Handle) (names []string, err error) {
	const longest = 255 // characters of a key's name
	var name [longest + 1]uint16
	for i := uint32(0); ; i++ {
		length := uint32(len(name))
		switch err := syscall.RegEnumKeyEx(key, i, &name[0], &length, nil, nil, nil, nil); err {
		case nil:
			names = append(names, syscall.UTF16ToString(name[:length]))
		case errorNoMoreItems:
			return names, nil
		default:
			return nil, err
		}
	}
}

// flush writes a volume out.
func flush(drive string) error {
	volume, err := syscall.UTF16PtrFromString(`\\.\` + drive)
	if err != nil {
		return err
	}
	handle, err := syscall.CreateFile(volume, syscall.GENERIC_READ|syscall.GENERIC_WRITE,
		syscall.FILE_SHARE_READ|syscall.FILE_SHARE_WRITE, nil, syscall.OPEN_EXISTING, 0, 0)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "%s cannot be opened to be written out: %v", drive, err)
	}
	defer syscall.CloseHandle(handle)
	// A driver that holds nothing back, Wine's among them, does not know the function.
	if err := syscall.FlushFileBuffers(handle); err != nil && err != errorInvalidFunction {
		return wire.Errorf(wire.Unavailable, "%s could not be written out: %v", drive, err)
	}
	return nil
}
