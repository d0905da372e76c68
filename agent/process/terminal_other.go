//go:build !linux

package process

import (
	"os"

	"linwin/agent/wire"
)

// terminal does not exist in this build.
type terminal struct{ master *os.File }

func openTerminal(wire.Size) (*terminal, *os.File, error) {
	return nil, nil, wire.Errorf(wire.Invalid, "this guest has no terminals: leave out -t")
}

func (*terminal) resize(wire.Size) error { return nil }
