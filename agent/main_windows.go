package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"linwin/agent/process"
	"linwin/agent/service"
	"linwin/agent/session"
	"linwin/agent/windows"
)

// portName is what the driver vioserial calls the agent's port.
const portName = `\\.\Global\org.linwin.agent.0`

const usage = `usage: linwin-agent -listen ADDRESS | -port DEVICE
       linwin-agent service install [-port DEVICE] | uninstall
`

func main() {
	log.SetFlags(0)
	log.SetPrefix("linwin-agent: ")
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(arguments []string) error {
	verb, rest := "", []string(nil)
	if len(arguments) > 0 {
		verb, rest = arguments[0], arguments[1:]
	}
	switch verb {
	case windows.RaiseVerb:
		return windows.Raise(rest)
	case "service":
		return serviceVerb(rest)
	}
	flags := flag.NewFlagSet("", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	listen := flags.String("listen", "", listenUsage)
	device := flags.String("port", "", portUsage)
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	serve, err := prepare(*listen, *device)
	if err != nil {
		return err
	}
	return serve()
}

// serviceVerb is for people (install, uninstall) and for Windows (run).
func serviceVerb(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	device := flags.String("port", portName, portUsage)
	listen := flags.String("listen", "", listenUsage)
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if *listen != "" {
		*device = ""
	}
	switch arguments[0] {
	case "install":
		self, err := os.Executable()
		if err != nil {
			return err
		}
		words := append([]string{self, "service", "run"}, arguments[1:]...)
		for i, word := range words {
			words[i] = syscall.EscapeArg(word)
		}
		return service.Install(strings.Join(words, " "))
	case "uninstall":
		return service.Uninstall()
	case "run":
		return service.Run(func() (func() error, error) {
			if err := logToFile(); err != nil {
				return nil, err
			}
			serve, err := prepare(*listen, *device)
			if err != nil {
				return nil, err
			}
			return func() error {
				if err := windows.AwaitSetup(); err != nil {
					return err
				}
				return serve()
			}, nil
		})
	}
	return fmt.Errorf("unknown service verb: %s", arguments[0])
}

// logToFile keeps the log of the last start, since a service has no console.
func logToFile() error {
	folder := filepath.Join(os.Getenv("ProgramData"), "linwin")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(folder, "agent.log"))
	if err != nil {
		return err
	}
	log.SetOutput(file)
	return nil
}

// prepare opens the link of an agent with the guest kind windows.
func prepare(listen, device string) (serve func() error, err error) {
	link, err := open(listen, device)
	if err != nil {
		return nil, err
	}
	hello, err := greeting("windows")
	if err != nil {
		return nil, err
	}
	log.Printf("listening on %v", link)
	kind := &windows.Kind{}
	server := session.Server{
		Link: link, Hello: hello, Table: process.NewTable(kind), Guest: &windows.Guest{Kind: kind},
	}
	return server.Run, nil
}

// bootID changes when the agent starts anew.
func bootID() (string, error) { return rand.Text(), nil }
