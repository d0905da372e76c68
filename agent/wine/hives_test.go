//go:build linux

package wine

import (
	"os"
	"path/filepath"
	"testing"

	"linwin/agent/registry"
)

const (
	machineHead = "WINE REGISTRY Version 2\n;; All keys relative to REGISTRY\\\\Machine\n\n#arch=win64\n\n"
	userHead    = "WINE REGISTRY Version 2\n;; All keys relative to REGISTRY\\\\User\\\\S-1-5-21-0-0-0-1000\n\n#arch=win64\n\n"
)

// written are the changes of a template whose registry is empty to one with the given keys.
func written(t *testing.T, own registry.Places, machine, user string) ([]registry.Change, error) {
	t.Helper()
	frozen := &template{own: own}
	for _, head := range []string{machineHead, userHead, userHead} {
		base, err := registry.ReadBase([]byte(head))
		if err != nil {
			t.Fatal(err)
		}
		frozen.bases = append(frozen.bases, base)
	}
	folder := t.TempDir() // with no userdef.reg
	for name, text := range map[string]string{"system.reg": machineHead + machine, "user.reg": userHead + user} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return frozen.changes(folder)
}

func TestChanges(t *testing.T) {
	for name, one := range map[string]struct {
		machine, user string
		count         int
		readBy        bool
		err           string
	}{
		"nothing":      {"", "", 0, false, ""},
		"both":         {"[A] 1\n@=\"x\"\n", "[B] 1\n", 3, false, ""},
		"its own":      {"[Own] 1\n\"Value\"=\"x\"\n", "", 1, false, ""},
		"a variable":   {"", "[Environment] 1\n\"V\"=\"x\"\n", 2, true, ""},
		"a parameter":  {"[System\\\\ControlSet001\\\\Services\\\\Some\\\\Parameters] 1\n", "", 1, false, ""},
		"a service":    {"[System\\\\ControlSet001\\\\services\\\\Some] 1\n", "", 0, false, `\REGISTRY\Machine\System\ControlSet001\services\Some is read when it starts`},
		"a rename":     {"[System\\\\ControlSet001\\\\Control\\\\Session Manager] 1\n\"PendingFileRenameOperations\"=\"\"\n", "", 0, false, `\REGISTRY\Machine\System\ControlSet001\Control\Session Manager is read when it starts`},
		"a program":    {"", "[Software\\\\Microsoft\\\\Windows\\\\CurrentVersion\\\\Run] 1\n", 0, false, `\REGISTRY\User\S-1-5-21-0-0-0-1000\Software\Microsoft\Windows\CurrentVersion\Run is read when it starts`},
		"an override":  {"", "[Software\\\\Wine\\\\DllOverrides] 1\n", 0, false, `\REGISTRY\User\S-1-5-21-0-0-0-1000\Software\Wine\DllOverrides is read when it starts`},
		"another file": {"word\n[A\n", "", 0, false, "system.reg: the registry file is not as Wine writes it: \"[A\" begins no key"},
	} {
		own := registry.Places{}
		own.AddValue(`\Registry\Machine\Own`, "Value")
		changes, err := written(t, own, one.machine, one.user)
		switch {
		case err == nil && one.err != "", err != nil && err.Error() != one.err:
			t.Errorf("%s: %v", name, err)
		case len(changes) != one.count:
			t.Errorf("%s: %v", name, changes)
		case one.count > 0 && readByPrograms(changes[len(changes)-1]) != one.readBy:
			t.Errorf("%s: whether programs read %v", name, changes)
		}
	}
}

func TestWhatIsNoRegistryIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "system.reg")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, registry.MaxSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := readHive(path); err == nil || err.Error() != "system.reg has 33554433 bytes" {
		t.Error(err)
	}
}
