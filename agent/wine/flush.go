//go:build linux

package wine

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"linwin/agent/job"
	"linwin/agent/wire"
)

const (
	saveRegistry = "/usr/lib/linwin/linwin-save-registry.exe"
	// savedFolder is where it puts them. Programs that run under Wine have no drive that leads here.
	savedFolder = "/run/linwin/registry"
	// saveTimeout is for the start of a program and some megabytes of text, on a busy emulator.
	saveTimeout = 60 * time.Second
)

// Flush implements session.Guest: the registry goes to C: as it is now, and C: to its disk.
// Wine and its programs go on.
func (g *Guest) Flush() error {
	g.changing.Lock()
	defer g.changing.Unlock()
	if !g.mounted || g.server == 0 {
		return wire.Errorf(wire.Unavailable, "C: is not mounted")
	}
	began := time.Now()
	if err := g.saveRegistry(); err != nil {
		return wire.Errorf(kindOf(err), "save the registry: %v", err)
	}
	if err := syncC(); err != nil {
		return err
	}
	log.Printf("the registry and C: are written out, in %v", time.Since(began).Round(time.Millisecond))
	return nil
}

// saveRegistry has Wine write its registry beside the prefix, whose own files wineserver may be
// writing at this moment, and takes it to C:.
func (g *Guest) saveRegistry() (err error) {
	if err := os.MkdirAll(savedFolder, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(savedFolder)) }()
	pid, err := g.background(wineLoader, "wine64", saveRegistry)
	if err != nil {
		return err
	}
	late := time.AfterFunc(saveTimeout, func() {
		if err := g.Reaper.Kill(pid, syscall.SIGKILL); err != nil {
			log.Printf("flush: %v", err)
		}
	})
	defer late.Stop()
	if status := g.Reaper.Wait(pid); status.ExitStatus() != 0 {
		return fmt.Errorf("Wine does not write it: %d", job.ExitCode(status))
	}
	return saveHives(savedFolder)
}

// saveHives takes the registry's files from a folder to C:.
func saveHives(from string) error {
	folder, err := below(cMount, hiveFolder)
	if err != nil {
		return err
	}
	for _, hive := range hives {
		if err := replaceFile(filepath.Join(from, hive), filepath.Join(folder, hive)); err != nil {
			return err
		}
	}
	return nil
}
