//go:build linux

package wine

import (
	"io"

	"linwin/agent/archive"
	"linwin/agent/session"
	"linwin/agent/wire"
)

var _ session.Files = (*Guest)(nil)

// Stat implements session.Files.
func (g *Guest) Stat(path string, folder bool) (found wire.FileStat, err error) {
	err = g.withC(func(c *archive.Root) error {
		found, err = c.Stat(path, folder)
		return err
	})
	return found, err
}

// Get implements session.Files.
func (g *Guest) Get(path string, folder bool, base string, w io.Writer) error {
	return g.withC(func(c *archive.Root) error { return c.Get(path, folder, base, w) })
}

// Put implements session.Files.
func (g *Guest) Put(path string, keepKinds bool, source io.Reader) error {
	return g.withC(func(c *archive.Root) error { return c.Put(path, keepKinds, source) })
}

// withC opens C: for one request: what is open when the guest shuts down keeps it
// from being unmounted.
func (g *Guest) withC(do func(*archive.Root) error) error {
	if !g.ready.Load() {
		return wire.Errorf(wire.Unavailable, "C: is not mounted")
	}
	c, err := archive.Open(cMount)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "C: cannot be opened: %v", err)
	}
	defer c.Close()
	return do(c)
}
