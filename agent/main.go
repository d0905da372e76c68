//go:build linux

// Command linwin-agent is the host's hand in a guest. As process 1 it boots the
// guest; as a plain process it serves Linux programs, which is how the protocol
// is tested without a guest.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"

	"linwin/agent/archive"
	"linwin/agent/job"
	"linwin/agent/native"
	"linwin/agent/process"
	"linwin/agent/session"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("linwin-agent: ")
	if os.Getpid() == 1 {
		runAsInit()
		return
	}
	listen := flag.String("listen", "", listenUsage)
	device := flag.String("port", "", portUsage)
	cgroup := flag.String("cgroup", "/sys/fs/cgroup", "make control groups in this `folder` of cgroup2")
	files := flag.String("files", "", "let the host copy files of this `folder`, which stands for C:")
	flag.Parse()
	if err := serve(*listen, *device, *cgroup, *files); err != nil {
		log.Fatal(err)
	}
}

// serve runs the agent as a plain process with the guest kind linux.
func serve(listen, device, cgroup, files string) error {
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
	log.Printf("listening on %v", link)
	if err := calmMonitor(); err != nil {
		log.Print(err) // it is not needed
	}
	server := session.Server{Link: link, Hello: hello, Table: process.NewTable(kind), Guest: native.Guest{Spawner: kind.Spawner}}
	if files != "" {
		root, err := archive.Open(files)
		if err != nil {
			return err
		}
		defer root.Close()
		server.Files = root
	}
	return server.Run()
}

// bootID changes when the agent starts anew.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/uuid")
	if err != nil {
		return "", fmt.Errorf("make a boot id: %w", err)
	}
	return string(id[:36]), nil
}
