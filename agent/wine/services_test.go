//go:build linux

package wine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestServiceProcesses(t *testing.T) {
	proc := t.TempDir()
	add := func(pid, comm, cgroup, cmdline string) {
		folder := filepath.Join(proc, pid)
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"comm": comm + "\n", "cgroup": cgroup + "\n", "cmdline": cmdline} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	add("1", "linwin-agent", "0::/", "/init\x00")
	add("2", "kthreadd", "0::/", "")
	add("70", "wineserver64", "0::/", "wineserver64\x00")
	add("71", "services.exe", "0::/", `C:\windows\system32\services.exe`+"\x00")
	add("80", "service.exe", "0::/", `C:\service.exe`+"\x00")
	add("90", "cmd.exe", "0::/job-1", "cmd\x00")
	if err := os.Mkdir(filepath.Join(proc, "91"), 0o755); err != nil { // ended while it was looked at
		t.Fatal(err)
	}
	found, err := serviceProcesses(proc)
	if err != nil || !slices.Equal(found, []string{"service.exe"}) {
		t.Errorf("%v, %v", found, err)
	}
}
