//go:build linux

package wine

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"linwin/agent/wire"
)

const wineModules = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows"

// Where Wine's own processes find themselves while there is no C: yet.
var standIn = []string{"Windows/System32/drivers/etc", "Windows/temp", "users", "ProgramData"}

// Warm implements session.Guest: Wine runs before there is a C:, with the
// registry of the template, over folders that C: will be mounted on.
func (g *Guest) Warm() error {
	if g.server != 0 {
		return wire.Errorf(wire.Invalid, "the guest is warm already")
	}
	if err := g.Networks.Meet(); err != nil {
		return fmt.Errorf("meet the NICs: %w", err)
	}
	if err := makeStandIn(); err != nil {
		return fmt.Errorf("make a stand-in for C:: %w", err)
	}
	if err := makePrefix(frozenPrefix); err != nil {
		return fmt.Errorf("make the Wine prefix: %w", err)
	}
	frozen, err := readTemplate()
	if err != nil {
		return err
	}
	// Once to see what its start writes, and once to stay.
	if err := g.startWine(); err != nil {
		return err
	}
	if err := g.endWine(); err != nil {
		return err
	}
	if err := frozen.observe(prefix); err != nil {
		return err
	}
	if err := os.RemoveAll(prefix); err != nil {
		return err
	}
	if err := makePrefix(frozenPrefix); err != nil {
		return fmt.Errorf("make the Wine prefix: %w", err)
	}
	if err := g.startWine(); err != nil {
		return err
	}
	if err := g.Kind.rehearse(); err != nil {
		return err
	}
	g.frozen = frozen
	return g.Kind.Hold()
}

// Rehearse implements session.Guest: what an emulator has met once it has
// translated, and the guest is prepared and its first program starts sooner for it.
func (g *Guest) Rehearse(r wire.Rehearsal) error {
	if g.frozen == nil || g.prepared {
		return wire.Errorf(wire.Invalid, "the guest is not one that waits for a container")
	}
	if err := g.rehearseDisk(r.CSerial); err != nil {
		return fmt.Errorf("rehearse with the disk %s: %w", r.CSerial, err)
	}
	return g.Kind.rehearse()
}

// rehearseDisk mounts C: aside, reads the registry in it, and leaves nothing of it in
// the kernel's cache: the host is about to put another disk in its place.
func (g *Guest) rehearseDisk(serial string) error {
	if err := mount(serial, rehearsalMount); err != nil {
		return err
	}
	folder, err := below(rehearsalMount, hiveFolder)
	if err == nil {
		_, err = g.frozen.changes(folder)
	}
	return errors.Join(err, syscall.Unmount(rehearsalMount, 0))
}

func makeStandIn() error {
	for _, folder := range standIn {
		if err := os.MkdirAll(filepath.Join(cMount, folder), 0o755); err != nil {
			return err
		}
	}
	modules, err := os.ReadDir(wineModules)
	if err != nil {
		return err
	}
	for _, module := range modules {
		folder := "Windows/System32"
		if strings.HasSuffix(module.Name(), ".sys") {
			folder = "Windows/System32/drivers"
		}
		if err := os.Symlink(filepath.Join(wineModules, module.Name()), filepath.Join(cMount, folder, module.Name())); err != nil {
			return err
		}
	}
	return nil
}

// rewarm makes the Wine that runs already the container's: its registry is the
// template's, so it is told what differs in that of C:. Where that cannot be done,
// Wine is ended and must be started anew.
func (g *Guest) rewarm(hostname string) (bool, error) {
	began := time.Now()
	folder, err := below(cMount, hiveFolder)
	if err != nil {
		return false, err
	}
	changes, err := g.frozen.changes(folder)
	if err == nil && len(changes) > 0 {
		err = g.Kind.changeRegistry(changes)
	}
	if err == nil {
		log.Printf("wine is up since before the guest was frozen; changes to its registry: %d, in %v",
			len(changes), time.Since(began).Round(time.Millisecond))
		g.Kind.Rename(hostname)
		return true, nil
	}
	log.Printf("wine starts anew: %v", err)
	return false, g.discardWine()
}

// discardWine ends the Wine that was frozen, whatever became of its registry.
func (g *Guest) discardWine() error {
	if err := g.Reaper.KillAll(endTimeout); err != nil {
		return err
	}
	for _, h := range g.Kind.held.take() {
		h.discard()
	}
	g.Reaper.Wait(g.server)
	g.server = 0
	return os.RemoveAll(prefix)
}
