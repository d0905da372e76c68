//go:build linux

package main

import (
	"log"
	"runtime/debug"
	"time"

	"linwin/agent/boot"
	"linwin/agent/device"
	"linwin/agent/job"
	"linwin/agent/network"
	"linwin/agent/port"
	"linwin/agent/process"
	"linwin/agent/session"
	"linwin/agent/wine"
)

const (
	// garbage is how much of it may lie about, in hundredths of what is in use, of which
	// the runtime takes 4 MiB to be the least: a start then ends before there is a reason
	// to collect, which is the longest thing that an agent ever does.
	garbage     = 400
	portName    = "org.linwin.agent.0"
	portTimeout = 30 * time.Second
	// networkFiles is where /etc/hosts and /etc/resolv.conf of the root disk lead.
	networkFiles = "/run/linwin"
)

// runAsInit is the guest's first process. It ends by the machine's power-off.
func runAsInit() {
	err := serveGuest()
	log.Printf("fatal: %v", err)
	log.Fatalf("power off: %v", boot.PowerOff())
}

func serveGuest() error {
	debug.SetGCPercent(garbage)
	if err := boot.Root(); err != nil {
		return err
	}
	if err := boot.Loopback(); err != nil {
		return err
	}
	if err := calmMonitor(); err != nil {
		log.Print(err) // it is not needed
	}
	reaper, err := job.NewReaper()
	if err != nil {
		return err
	}
	hello, err := greeting("wine")
	if err != nil {
		return err
	}
	node, err := device.Port(portName, portTimeout)
	if err != nil {
		return err
	}
	link, err := port.OpenVirtio(node)
	if err != nil {
		return err
	}
	log.Printf("ready on %s", node)
	kind := &wine.Kind{Spawner: &job.Spawner{Reaper: reaper, Root: "/sys/fs/cgroup"}}
	networks, err := network.Open(networkFiles)
	if err != nil {
		return err
	}
	guest := &wine.Guest{Reaper: reaper, Kind: kind, Networks: networks}
	server := session.Server{
		Link: link, Hello: hello, Table: process.NewTable(kind), Guest: guest, Files: guest,
	}
	return server.Run()
}
