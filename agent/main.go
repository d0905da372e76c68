//go:build linux

// Command linwin-agent is the host's hand in a guest. As process 1 it boots the
// guest; as a plain process it serves Linux programs, which is how the protocol
// is tested without a guest.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	"linwin/agent/job"
	"linwin/agent/native"
	"linwin/agent/port"
	"linwin/agent/process"
	"linwin/agent/session"
	"linwin/agent/wire"
)

// version is set by scripts/build-agent.
var version = "unknown"

func main() {
	log.SetFlags(0)
	log.SetPrefix("linwin-agent: ")
	if os.Getpid() == 1 {
		runAsInit()
		return
	}
	listen := flag.String("listen", "", "serve hosts on a unix socket at this `path`")
	device := flag.String("port", "", "serve the host behind this virtio-serial `device`")
	cgroup := flag.String("cgroup", "/sys/fs/cgroup", "make control groups in this `folder` of cgroup2")
	flag.Parse()
	if err := serve(*listen, *device, *cgroup); err != nil {
		log.Fatal(err)
	}
}

// serve runs the agent as a plain process with the guest kind linux.
func serve(listen, device, cgroup string) error {
	link, err := open(listen, device)
	if err != nil {
		return err
	}
	reaper, err := job.NewReaper()
	if err != nil {
		return err
	}
	kind := native.Kind{Spawner: &job.Spawner{Reaper: reaper, Root: cgroup}}
	hello, err := greeting("linux")
	if err != nil {
		return err
	}
	log.Printf("listening on %s%s", listen, device)
	if err := calmMonitor(); err != nil {
		log.Print(err) // it is not needed
	}
	server := session.Server{Link: link, Hello: hello, Table: process.NewTable(kind), Guest: native.Guest{}}
	return server.Run()
}

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
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return wire.Hello{}, fmt.Errorf("make a boot id: %w", err)
	}
	return wire.Hello{
		Version:      wire.Version,
		Capabilities: session.Capabilities(),
		Agent:        version,
		Kind:         kind,
		BootID:       string(id[:36]),
		MaxRequest:   wire.MaxRequest,
	}, nil
}
