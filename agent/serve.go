package main

import (
	"errors"

	"linwin/agent/port"
	"linwin/agent/session"
	"linwin/agent/wire"
)

// version is set by scripts/build-agent.
var version = "unknown"

const (
	listenUsage = "serve hosts on a socket at this `address`: HOST:PORT or a path"
	portUsage   = "serve the host behind this virtio-serial `device`"
)

// open makes the one link that the flags ask for.
func open(listen, device string) (session.Link, error) {
	switch {
	case (listen == "") == (device == ""):
		return nil, errors.New("exactly one of -listen and -port is needed")
	case listen != "":
		return port.Listen(listen)
	default:
		return port.OpenVirtio(device)
	}
}

// greeting is the agent's hello, but for the session.
func greeting(kind string) (wire.Hello, error) {
	id, err := bootID()
	if err != nil {
		return wire.Hello{}, err
	}
	return wire.Hello{
		Version:      wire.Version,
		Capabilities: session.Capabilities(),
		Agent:        version,
		Kind:         kind,
		BootID:       id,
		MaxRequest:   wire.MaxRequest,
	}, nil
}
