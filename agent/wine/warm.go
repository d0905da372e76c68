//go:build linux

package wine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

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
	if err := makeStandIn(); err != nil {
		return fmt.Errorf("make a stand-in for C:: %w", err)
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
	return g.Kind.Hold()
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

// rewarm makes the Wine that runs already the container's, if it can be: its
// registry is the template's, so that of C: must be the same. Otherwise Wine is
// ended and must be started anew.
func (g *Guest) rewarm(hostname string) (bool, error) {
	same, err := sameHives()
	if err != nil {
		return false, err
	}
	if same {
		log.Print("wine is up since before the guest was frozen")
		g.Kind.Rename(hostname)
		return true, nil
	}
	log.Print("C: has a registry of its own: wine starts anew")
	if err := g.Reaper.KillAll(endTimeout); err != nil {
		return false, err
	}
	for _, h := range g.Kind.held.take() {
		h.discard()
	}
	g.Reaper.Wait(g.server)
	g.server = 0
	return false, os.RemoveAll(prefix)
}

// sameHives tells whether the registry on C: is the template's, byte by byte.
func sameHives() (bool, error) {
	folder, err := onC(hiveFolder)
	if err != nil {
		return false, err
	}
	for _, hive := range hives {
		same, err := sameContent(filepath.Join(frozenPrefix, hive), filepath.Join(folder, hive))
		if errors.Is(err, fs.ErrNotExist) {
			continue // makePrefix would take the template's
		}
		if !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// sameContent compares two files without holding either of them.
func sameContent(left, right string) (bool, error) {
	var files [2]*os.File
	var sizes [2]int64
	for i, path := range []string{left, right} {
		file, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return false, err
		}
		files[i], sizes[i] = file, info.Size()
	}
	if sizes[0] != sizes[1] {
		return false, nil
	}
	var pieces [2][64 << 10]byte
	for left := sizes[0]; left > 0; {
		size := min(left, int64(len(pieces[0])))
		for i := range files {
			if _, err := io.ReadFull(files[i], pieces[i][:size]); err != nil {
				return false, err
			}
		}
		if !bytes.Equal(pieces[0][:size], pieces[1][:size]) {
			return false, nil
		}
		left -= size
	}
	return true, nil
}
