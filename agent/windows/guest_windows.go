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
	regFlushKey        = syscall.NewLazyDLL("advapi32.dll").NewProc("RegFlushKey")
	physicalDNSHost    = uintptr(5) // ComputerNamePhysicalDnsHostname of sysinfoapi.h
	longestNetBIOSName = uint32(15)
)

const errorInvalidFunction = syscall.Errno(1)

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

// Shutdown implements session.Guest: what Windows has yet to write to the
// registry and to C:, it writes. It goes on running on C:.
func (*Guest) Shutdown() error {
	for _, key := range []syscall.Handle{syscall.HKEY_LOCAL_MACHINE, syscall.HKEY_USERS} {
		if code, _, _ := regFlushKey.Call(uintptr(key)); code != 0 {
			return fmt.Errorf("flush the registry: %w", syscall.Errno(code))
		}
	}
	if err := flush(os.Getenv("SystemDrive")); err != nil {
		return err
	}
	log.Print("C: is written out")
	return nil
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
