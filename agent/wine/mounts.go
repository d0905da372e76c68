//go:build linux

package wine

import (
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"linwin/agent/job"
	"linwin/agent/session"
	"linwin/agent/wire"
)

const (
	// drivesFolder holds a folder for each drive that only mounts are on.
	drivesFolder = "/run/drives"
	defineDrives = "/usr/lib/linwin/linwin-define-drives.exe"
	// singlesFolder holds the shares of which one file is mounted. Programs have no drive
	// that leads here.
	singlesFolder = "/run/singles"
	maxMounts     = 64
	// unmountTimeout is for writing out what a server has not been sent yet.
	unmountTimeout = 20 * time.Second
)

var _ session.Mounts = (*Guest)(nil)

// place is a mount's target, taken apart: a drive's letter in lower case, and names.
type place struct {
	drive byte
	names []string
}

// parseTarget reads a path as the host says it: C:\a\b, or D:\ for a drive.
func parseTarget(target string) (place, error) {
	if len(target) < 3 || target[1:3] != `:\` {
		return place{}, wire.Errorf(wire.Invalid, "%q is no place for a mount", target)
	}
	found := place{drive: target[0] | 0x20}
	if found.drive < 'a' || found.drive > 'z' {
		return place{}, wire.Errorf(wire.Invalid, "nothing can be mounted on the drive of %q", target)
	}
	if target[3:] != "" {
		found.names = strings.Split(target[3:], `\`)
	}
	for _, name := range found.names {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
			return place{}, wire.Errorf(wire.Invalid, "%q is no place for a mount", target)
		}
	}
	if found.drive == 'c' && len(found.names) == 0 {
		return place{}, wire.Errorf(wire.Invalid, "nothing can be mounted on C: itself")
	}
	return found, nil
}

// Mount implements session.Mounts. Of several that lie in one another the host says the outer first.
func (g *Guest) Mount(mounts []wire.Mount) error {
	if !g.ready.Load() {
		return wire.Errorf(wire.Unavailable, "C: is not mounted")
	}
	if len(g.mounts)+len(mounts) > maxMounts {
		return wire.Errorf(wire.Invalid, "more than %d mounts", maxMounts)
	}
	drives := ""
	for _, m := range mounts {
		where, err := parseTarget(m.Target)
		if err == nil {
			err = g.mountAt(where, m)
		}
		if err != nil {
			return wire.Errorf(kindOf(err), "mount %s: %v", m.Target, err)
		}
		if letter := string(where.drive); where.drive != 'c' && !strings.Contains(drives, letter) {
			drives += letter
		}
	}
	return g.define(drives)
}

// define has Wine know the drives that are new to it, by their letters.
func (g *Guest) define(drives string) error {
	if drives == "" {
		return nil
	}
	pid, err := g.background(wineLoader, "wine64", defineDrives, drives)
	if err != nil {
		return fmt.Errorf("tell Wine of drives: %w", err)
	}
	if status := g.Reaper.Wait(pid); status.ExitStatus() != 0 {
		return wire.Errorf(wire.Unavailable, "Wine does not take the drives %s: %d", drives, job.ExitCode(status))
	}
	return nil
}

// kindOf tells what is wrong with a request from what the guest could not do.
func kindOf(err error) wire.Kind {
	if known := (*wire.Error)(nil); errors.As(err, &known) {
		return known.Kind
	}
	return wire.Unavailable
}

func (g *Guest) mountAt(where place, m wire.Mount) error {
	root, err := g.drive(where.drive)
	if err != nil {
		return err
	}
	if m.File != "" {
		return g.mountFile(m, root, where.names)
	}
	folder, err := below(root, strings.Join(where.names, "/"))
	if err != nil {
		return err
	}
	return g.attach(m, folder)
}

// mountFile mounts one file of a share, which is itself mounted where no program looks.
func (g *Guest) mountFile(m wire.Mount, root string, names []string) error {
	if len(names) == 0 || strings.ContainsAny(m.File, "/\x00") {
		return wire.Errorf(wire.Invalid, "a file has no place there")
	}
	single := filepath.Join(singlesFolder, fmt.Sprint(len(g.mounts)))
	if err := os.MkdirAll(single, 0o700); err != nil {
		return err
	}
	if err := g.attach(m, single); err != nil {
		return err
	}
	folder, err := below(root, strings.Join(names[:len(names)-1], "/"))
	if err != nil {
		return err
	}
	target, err := fileIn(folder, names[len(names)-1])
	if err != nil {
		return err
	}
	return g.record(target, syscall.Mount(filepath.Join(single, m.File), target, "", syscall.MS_BIND, ""))
}

// attach mounts a share, or memory, on a folder.
func (g *Guest) attach(m wire.Mount, folder string) error {
	device, kind, flags, options, err := system(m)
	if err != nil {
		return err
	}
	return g.record(folder, syscall.Mount(device, folder, kind, flags, options))
}

// record keeps what is to be unmounted before C: is.
func (g *Guest) record(target string, err error) error {
	if err == nil {
		g.mounts = append(g.mounts, target)
	}
	return err
}

// credential is what the host makes users and passwords of. Their characters mean nothing in a
// mount's options.
var credential = regexp.MustCompile(`^[A-Za-z0-9-]{1,128}$`)

// system tells mount(2)'s arguments. Nothing of a user's is in them.
//
// nocase: two spellings of a folder are one, with what is mounted in it. hard: a program waits for a
// server that is away for a moment, and loses nothing. noperm: the server alone knows who may do
// what. actimeo: what somebody else changes is seen after a second.
func system(m wire.Mount) (device, kind string, flags uintptr, options string, err error) {
	flags = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOATIME
	if m.ReadOnly {
		flags |= syscall.MS_RDONLY
	}
	if m.Server == "" {
		if m.Size < 0 {
			return "", "", 0, "", wire.Errorf(wire.Invalid, "%d bytes of memory", m.Size)
		}
		return "tmpfs", "tmpfs", flags, fmt.Sprintf("size=%s,mode=0777", limit(m.Size)), nil
	}
	server, err := netip.ParseAddr(m.Server)
	if err != nil {
		return "", "", 0, "", wire.Errorf(wire.Invalid, "%q is no address of a server", m.Server)
	}
	for _, word := range []string{m.Share, m.User, m.Password} {
		if !credential.MatchString(word) {
			return "", "", 0, "", wire.Errorf(wire.Invalid, "a share, user or password that cannot be")
		}
	}
	options = fmt.Sprintf("ip=%s,user=%s,pass=%s,vers=3.1.1,sec=ntlmssp,sign,hard,noperm,"+
		"uid=0,gid=0,file_mode=0755,dir_mode=0755,iocharset=utf8,nocase,nouser_xattr,actimeo=1", server, m.User, m.Password)
	return fmt.Sprintf("//%s/%s", server, m.Share), "cifs", flags, options, nil
}

func limit(size int64) string {
	if size == 0 {
		return "50%"
	}
	return fmt.Sprint(size)
}

// drive is the folder that a drive's paths begin at. One that Wine does not have yet is made.
func (g *Guest) drive(letter byte) (string, error) {
	if letter == 'c' {
		return cMount, nil
	}
	folder, link := filepath.Join(drivesFolder, string(letter)), filepath.Join(prefix, "dosdevices", string(letter)+":")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := os.Symlink(folder, link); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return folder, nil
}

// fileIn finds a file in a folder whatever the case of its name, and makes one that is missing.
func fileIn(folder, name string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if strings.EqualFold(entry.Name(), name) {
			return filepath.Join(folder, entry.Name()), nil
		}
	}
	file, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}

// Unmount implements session.Mounts.
func (g *Guest) Unmount() error {
	g.unmountAll()
	return nil
}

// unmountAll takes the container's mounts away, the last first. One that a program still uses is
// written out. What a server that does not answer has not been sent is lost with a line about it,
// and keeps C: from nothing.
func (g *Guest) unmountAll() {
	for _, target := range slices.Backward(g.mounts) {
		done := make(chan error, 1)
		go func() {
			err := syscall.Unmount(target, 0)
			if err == syscall.EBUSY {
				err = errors.Join(err, syncFiles(target))
			}
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil {
				continue
			}
			log.Printf("unmount %s: %v", target, err)
		case <-time.After(unmountTimeout):
			log.Printf("unmount %s: the server does not answer", target)
		}
		if err := syscall.Unmount(target, syscall.MNT_FORCE|syscall.MNT_DETACH); err != nil {
			log.Printf("unmount %s by force: %v", target, err)
		}
	}
	g.mounts = nil
}
