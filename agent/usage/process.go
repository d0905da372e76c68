//go:build linux

// Package usage reads from /proc what the programs of a guest take: proc(5) is
// the source of every field.
package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"linwin/agent/wire"
)

const (
	// tick is a clock tick of /proc in the 100 ns that Windows counts CPU time in.
	tick     = 100_000
	pageSize = 4096
	// maxProcesses and maxList, in bytes of JSON, bound an answer, which has to fit into
	// one frame whatever the programs call themselves.
	maxProcesses = 512
	maxList      = 60 << 10
	maxName      = 64
)

// Process is one process of the guest.
type Process struct {
	PID    int
	folder string
}

// Select returns the processes that wanted says yes to, oldest PID first. One
// that ends meanwhile is left out.
func Select(proc string, wanted func(Process) bool) ([]Process, error) {
	folders, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, entry := range folders {
		pid, err := strconv.Atoi(entry.Name())
		if p := (Process{pid, filepath.Join(proc, entry.Name())}); err == nil && wanted(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// Program is the file that the process runs, for a Windows program Wine's loader.
func (p Process) Program() string {
	target, err := os.Readlink(filepath.Join(p.folder, "exe"))
	if err != nil {
		return "" // a kernel thread, or one that has ended
	}
	return target
}

// Words are the command line, at least one and of one that has ended an empty one.
func (p Process) Words() []string {
	line, err := os.ReadFile(filepath.Join(p.folder, "cmdline"))
	if err != nil {
		return []string{""}
	}
	return strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
}

// Private is the memory that no other process has part in, in bytes.
func (p Process) Private() (uint64, error) {
	text, err := os.ReadFile(filepath.Join(p.folder, "statm"))
	if err != nil {
		return 0, err
	}
	var size, resident, shared uint64
	if _, err := fmt.Sscan(string(text), &size, &resident, &shared); err != nil {
		return 0, fmt.Errorf("%s/statm: %w", p.folder, err)
	}
	return (resident - min(shared, resident)) * pageSize, nil
}

// cpu is the time that the process has run, user and system, in 100 ns.
func (p Process) cpu() (uint64, error) {
	text, err := os.ReadFile(filepath.Join(p.folder, "stat"))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold anything: the fields are what follows the last one.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat has %d fields behind the name", p.folder, len(fields))
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	return (user + system) * tick, err
}

// Name is the last part of the program's name.
func (p Process) Name() string {
	return base(p.Program())
}

// List describes processes, whose names and numbers identify gives.
func List(processes []Process, identify func(Process) (name string, pid uint32)) (wire.Processes, error) {
	list, size := wire.Processes{Processes: []wire.ProcessInfo{}}, 0
	for _, p := range processes {
		info, err := describe(p, identify)
		switch {
		case gone(err):
		case err != nil:
			return wire.Processes{}, err
		case len(list.Processes) == maxProcesses:
			return list, nil
		default:
			encoded, err := json.Marshal(info)
			if size += len(encoded) + len(","); err != nil || size > maxList {
				return list, err
			}
			list.Processes = append(list.Processes, info)
		}
	}
	return list, nil
}

func describe(p Process, identify func(Process) (string, uint32)) (wire.ProcessInfo, error) {
	cpu, err := p.cpu()
	if err != nil {
		return wire.ProcessInfo{}, err
	}
	private, err := p.Private()
	if err != nil {
		return wire.ProcessInfo{}, err
	}
	name, pid := identify(p)
	if len(name) > maxName {
		name = name[:maxName]
	}
	return wire.ProcessInfo{PID: pid, Name: strings.ToValidUTF8(name, "?"), CPU: cpu, Private: private}, nil
}

// gone reports whether a process ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

// base is the last part of a Unix or a Windows path.
func base(path string) string {
	return path[strings.LastIndexAny(path, `/\`)+1:]
}
