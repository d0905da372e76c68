//go:build linux

package wine

import (
	"linwin/agent/session"
	"linwin/agent/usage"
	"linwin/agent/wire"
)

const proc = "/proc"

var _ session.Observer = (*Guest)(nil)

// Processes implements session.Observer.
func (g *Guest) Processes() (wire.Processes, error) {
	found, err := usage.Select(proc, isWindows)
	if err != nil {
		return wire.Processes{}, err
	}
	return usage.List(found, usage.Windows)
}

// Usage implements session.Observer.
func (g *Guest) Usage() (wire.Usage, error) {
	found, err := usage.Select(proc, isWindows)
	if err != nil {
		return wire.Usage{}, err
	}
	private, err := usage.PrivateOf(found)
	if err != nil {
		return wire.Usage{}, err
	}
	return usage.Machine(proc, cMount, private)
}

// isWindows tells Windows processes from the guest's own: wineserver, the agent,
// and the launchers, which stand between the agent and a program.
func isWindows(p usage.Process) bool {
	if p.Program() != wineLoader {
		return false
	}
	words := p.Words()
	return words[0] != "" && words[0] != launcher
}
