//go:build linux

// Package wine is the guest kind "wine": Windows programs under Wine, with C: an
// NTFS disk of the container and the registry kept on it.
package wine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"linwin/agent/boot"
	"linwin/agent/job"
	"linwin/agent/network"
	"linwin/agent/session"
	"linwin/agent/wire"
)

// What the root disk holds, and where the agent puts things.
const (
	wineLoader     = "/usr/lib/wine/wine64"
	wineServer     = "/usr/lib/wine/wineserver64"
	launcher       = "/usr/lib/linwin/linwin-launch.exe"
	frozenPrefix   = "/usr/share/linwin/prefix"
	utf8Locale     = "/usr/lib/locale/C.utf8" // of Debian's libc-bin
	prefix         = "/run/prefix"
	cMount         = "/run/c"
	rehearsalMount = "/run/rehearsal"
	execFolder     = "/run/linwin/exec"
	// hiveFolder is where C: keeps the registry between runs, in any case.
	hiveFolder = "Windows/System32/config/linwin"
)

var hives = []string{"system.reg", "user.reg", "userdef.reg"}

const (
	diskTimeout = 60 * time.Second
	endTimeout  = 30 * time.Second
)

// Guest prepares and shuts down a wine guest.
type Guest struct {
	Reaper   *job.Reaper
	Kind     *Kind
	Networks *network.Interfaces
	changing sync.Mutex  // held while C: and Wine come and go, and while they are written out
	server   int         // wineserver's pid, 0 while none runs
	prepared bool        // C: was mounted once
	mounted  bool        // and is
	unsaved  bool        // the registry is in the prefix and not on C: yet
	ready    atomic.Bool // and its files may be copied
	mounts   []string    // what is mounted for the container beside C:, outer ones first
	frozen   *template   // what runs since before the guest was frozen, nil in one that was not
}

var (
	_ session.Guest   = (*Guest)(nil)
	_ session.Clock   = (*Guest)(nil)
	_ session.Network = (*Guest)(nil)
)

// environment is the Unix side's. The locale makes file names UTF-8: Wine cannot
// make or find others than ASCII ones without.
func environment() []string {
	return []string{
		"PATH=/usr/lib/wine:/usr/bin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
		"WINEPREFIX=" + prefix, "WINESERVER=" + wineServer, "WINEDEBUG=-all",
	}
}

// Prepare implements session.Guest.
func (g *Guest) Prepare(p wire.Preparation) error {
	g.changing.Lock()
	defer g.changing.Unlock()
	if g.prepared {
		return wire.Errorf(wire.Invalid, "the guest is prepared already")
	}
	if _, err := os.Stat(utf8Locale); err != nil {
		log.Printf("the root disk lacks a UTF-8 locale, only ASCII file names will work: %v", err)
	}
	if err := identify(p); err != nil {
		return err
	}
	if err := g.Networks.SetHosts(p.Hosts); err != nil {
		return err
	}
	connected := make(chan error, 1)
	go func() { connected <- g.connectAll(p.Interfaces) }()
	if err := mount(p.CSerial, cMount); err != nil {
		return err
	}
	g.prepared, g.mounted = true, true
	g.ready.Store(true)
	return errors.Join(g.loadRegistry(p.Hostname), <-connected)
}

// connectAll configures the NICs that a container starts with, while C: is mounted.
func (g *Guest) connectAll(interfaces []wire.Interface) error {
	for _, i := range interfaces {
		if err := g.Networks.Connect(i); err != nil {
			return err
		}
	}
	return nil
}

// Connect implements session.Network. Programs that run already see the NIC: Wine asks
// the kernel each time it is asked, and so does the resolver with its files.
func (g *Guest) Connect(i wire.Interface) error { return g.Networks.Connect(i) }

// Forget implements session.Network.
func (g *Guest) Forget(mac string) error { return g.Networks.Forget(mac) }

// loadRegistry gets a Wine up whose registry is that of C:.
func (g *Guest) loadRegistry(hostname string) error {
	if g.frozen != nil {
		if reuse, err := g.rewarm(hostname); reuse || err != nil {
			return err
		}
	}
	folder, err := below(cMount, hiveFolder)
	if err != nil {
		return err
	}
	if err := makePrefix(folder); err != nil {
		return fmt.Errorf("make the Wine prefix: %w", err)
	}
	return g.startWine()
}

// clockTolerance is how far the guest's clock may be off before it is set:
// setting it makes programs see time jump, and answering takes some time itself.
const clockTolerance = 20 * time.Millisecond

// SetClock implements session.Clock.
func (g *Guest) SetClock(timeNS int64) (int64, error) {
	ahead := time.Now().UnixNano() - timeNS
	if time.Duration(ahead).Abs() <= clockTolerance {
		return ahead, nil
	}
	return ahead, setClock(timeNS)
}

func setClock(timeNS int64) error {
	now := syscall.NsecToTimeval(timeNS)
	if err := syscall.Settimeofday(&now); err != nil {
		return wire.Errorf(wire.Invalid, "set the clock: %v", err)
	}
	return nil
}

func identify(p wire.Preparation) error {
	if err := syscall.Sethostname([]byte(p.Hostname)); err != nil {
		return wire.Errorf(wire.Invalid, "set the host name to %q: %v", p.Hostname, err)
	}
	if err := setClock(p.TimeNS); err != nil {
		return err
	}
	if len(p.Entropy) == 0 {
		return nil
	}
	return boot.Reseed(p.Entropy)
}

// makePrefix lays out a Wine prefix in memory, with the registry in a folder.
func makePrefix(folder string) error {
	if err := os.MkdirAll(prefix+"/dosdevices", 0o755); err != nil {
		return err
	}
	for _, hive := range hives {
		err := copyFile(filepath.Join(folder, hive), filepath.Join(prefix, hive))
		if errors.Is(err, fs.ErrNotExist) {
			log.Printf("C: has no %s, the template's is taken", hive)
			err = copyFile(filepath.Join(frozenPrefix, hive), filepath.Join(prefix, hive))
		}
		if err != nil {
			return err
		}
	}
	// Equal to wine.inf's time stamp, or Wine would set the whole prefix up again.
	if err := copyFile(frozenPrefix+"/.update-timestamp", prefix+"/.update-timestamp"); err != nil {
		return err
	}
	return os.Symlink(cMount, prefix+"/dosdevices/c:")
}

// startWine starts a wineserver that stays, and Wine's services, with no claim
// on any program's streams.
func (g *Guest) startWine() error {
	began := time.Now()
	pid, err := g.background(wineServer, "wineserver64", "--foreground", "--persistent=-1")
	if err != nil {
		return fmt.Errorf("start wineserver: %w", err)
	}
	g.server = pid
	warm, err := g.background(wineLoader, "wine64", launcher)
	if err != nil {
		return fmt.Errorf("start Wine: %w", err)
	}
	if status := g.Reaper.Wait(warm); status.ExitStatus() != 0 {
		return fmt.Errorf("start Wine: exit code %d", job.ExitCode(status))
	}
	log.Printf("wine is up after %v", time.Since(began).Round(time.Millisecond))
	return nil
}

func (g *Guest) background(path string, argv ...string) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	return g.Reaper.Start(path, argv, &syscall.ProcAttr{
		Dir: cMount, Env: environment(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

// Shutdown implements session.Guest: services stop, the registry goes back to C:,
// and C: is unmounted clean.
func (g *Guest) Shutdown() error {
	g.ready.Store(false)
	g.changing.Lock()
	defer g.changing.Unlock()
	if !g.mounted {
		return nil
	}
	if g.server != 0 {
		if err := g.endServices(); err != nil {
			log.Printf("shutdown: %v", err) // they are ended all the same
		}
		if err := g.endWine(); err != nil {
			return err
		}
		g.unsaved = true
	}
	if g.unsaved {
		if err := saveHives(prefix); err != nil {
			return fmt.Errorf("save the registry: %w", err)
		}
		g.unsaved = false
	}
	if err := g.Reaper.KillAll(endTimeout); err != nil {
		return err
	}
	g.unmountAll()
	written := syncC()
	if err := syscall.Unmount(cMount, 0); err != nil {
		return errors.Join(written, fmt.Errorf("unmount C: %w", err))
	}
	g.mounted = false
	syscall.Sync()
	log.Print("C: is unmounted")
	return written
}

// endWine ends Wine in order. On SIGINT wineserver ends its programs and writes
// the registry into the prefix.
func (g *Guest) endWine() error {
	if err := g.Reaper.Kill(g.server, syscall.SIGINT); err != nil {
		return err
	}
	if err := g.Reaper.WaitTimeout(g.server, endTimeout); err != nil {
		return fmt.Errorf("end wineserver: %w", err)
	}
	g.server = 0
	return nil
}

// syncC writes C: out and tells whether all of it arrived: the disk behind it may be full, long
// after the programs' writes succeeded.
func syncC() error {
	if err := syncFiles(cMount); err != nil {
		return wire.Errorf(wire.Unavailable, "C: could not be written out: %v", err)
	}
	return nil
}

// syncFiles writes out the file system that a path is on. Unlike sync(2) it tells what failed.
func syncFiles(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	const sysSyncfs = 306 // missing in package syscall
	if _, _, errno := syscall.Syscall(sysSyncfs, file.Fd(), 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// below finds a folder on a mounted C: whatever the case of its names, which is Windows'
// or Wine's, and makes what is missing.
func below(mount, path string) (string, error) {
	if info, err := os.Stat(filepath.Join(mount, path)); err == nil && info.IsDir() {
		return filepath.Join(mount, path), nil // as the template spells it: there is no folder to read
	}
	found := mount
	for _, name := range strings.Split(path, "/") {
		entries, err := os.ReadDir(found)
		if err != nil {
			return "", err
		}
		i := slices.IndexFunc(entries, func(e os.DirEntry) bool { return strings.EqualFold(e.Name(), name) })
		if i >= 0 {
			name = entries[i].Name()
		} else if err := os.Mkdir(filepath.Join(found, name), 0o755); err != nil {
			return "", err
		}
		found = filepath.Join(found, name)
	}
	return found, nil
}

// replaceFile copies over a file so that after a crash either is there, whole.
func replaceFile(from, to string) error {
	if err := copyFile(from, to+".new"); err != nil {
		return err
	}
	return os.Rename(to+".new", to)
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Sync(), target.Close())
}
