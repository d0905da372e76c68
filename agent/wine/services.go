//go:build linux

package wine

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	stopServices = "/usr/lib/linwin/linwin-stop-services.exe"
	// serviceTimeout is what Windows grants services when it ends (WaitToKillServiceTimeout).
	serviceTimeout = 20 * time.Second
)

// Wine's own processes beside those of programs, as the kernel calls them. All
// others outside of the jobs' control groups are of Windows services.
var ownProcesses = map[string]bool{
	"wineserver64": true, "services.exe": true, "winedevice.exe": true, "explorer.exe": true,
	"rpcss.exe": true, "svchost.exe": true, "plugplay.exe": true, "conhost.exe": true, "start.exe": true,
}

// endServices has the Windows services stop, which Wine would end without notice.
// To ask them takes the start of a program, so it is not done where none runs.
func (g *Guest) endServices() error {
	running, err := serviceProcesses("/proc")
	if err != nil || len(running) == 0 {
		return err
	}
	began := time.Now()
	pid, err := g.background(wineLoader, "wine64", stopServices)
	if err != nil {
		return fmt.Errorf("ask services to stop: %w", err)
	}
	if err := g.Reaper.WaitTimeout(pid, serviceTimeout); err != nil {
		return fmt.Errorf("services did not stop: %w", err)
	}
	log.Printf("services stopped after %v: %s", time.Since(began).Round(time.Millisecond), strings.Join(running, ", "))
	return nil
}

// serviceProcesses names the processes of services, from proc(5).
func serviceProcesses(proc string) ([]string, error) {
	groups, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "cgroup"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, path := range groups {
		folder := filepath.Dir(path)
		// What cannot be read any more has ended; a thread of the kernel has no command line.
		group, _ := os.ReadFile(path)
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		name, _ := os.ReadFile(filepath.Join(folder, "comm"))
		comm := strings.TrimSpace(string(name))
		if string(group) == "0::/\n" && len(line) > 0 && filepath.Base(folder) != "1" && !ownProcesses[comm] {
			found = append(found, comm)
		}
	}
	return found, nil
}
