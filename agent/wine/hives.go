//go:build linux

package wine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"linwin/agent/registry"
)

// Keys that this file speaks of.
const (
	user           = `\Registry\User\S-1-5-21-0-0-0-1000`
	volatile       = user + `\Volatile Environment`
	software       = `\Registry\Machine\Software`
	currentVersion = software + `\Microsoft\Windows\CurrentVersion`
	controlSet     = `\Registry\Machine\System\ControlSet001`
	services       = controlSet + `\Services`
	tcpip          = services + `\Tcpip\Parameters`
	computerName   = controlSet + `\Control\ComputerName\ComputerName`
	sessionManager = controlSet + `\Control\Session Manager`
)

// maxChanges bounds what a running Wine is told: beyond that its start is faster.
const maxChanges = 5000

// readAtStart are keys that Wine looks at once, when it starts: with other ones it
// has to start anew.
var readAtStart = []string{
	software + `\Wine`, user + `\Software\Wine`, // DLL overrides, debugging
	controlSet + `\Enum`, controlSet + `\Control\Class`, controlSet + `\Control\TimeZoneInformation`,
	`\Registry\Machine\System\Select`, `\Registry\Machine\System\Setup`,
}

// readByPrograms reports whether each program, and so also a launcher that waits,
// reads at its own start what a change is about: variables and where they come
// from, and how it is to behave.
func readByPrograms(change registry.Change) bool {
	return change.Below(sessionManager) || change.Below(volatile) || change.Below(user+`\Environment`) ||
		change.Below(software+`\Microsoft\Windows NT\CurrentVersion`) || change.Of(currentVersion) ||
		change.Below(controlSet+`\Control\Nls`) || change.Below(user+`\Control Panel\International`)
}

// needsStart reports whether Wine has to start with what a change is about:
// services (whose parameters below are read later), files to be renamed and
// programs to be run at a start.
func needsStart(change registry.Change) bool {
	if slices.ContainsFunc(readAtStart, change.Below) || change.Of(sessionManager) {
		return true
	}
	above := change.Parent()
	if above == strings.ToLower(services) {
		return true
	}
	for _, root := range []string{currentVersion, user + `\Software\Microsoft\Windows\CurrentVersion`} {
		for _, run := range []string{"Run", "RunOnce", "RunServices", "RunServicesOnce"} {
			if change.Below(root + `\` + run) {
				return true
			}
		}
	}
	return false
}

// template is the registry that a guest is frozen with.
type template struct {
	bases []*registry.Base // of hives, in their order
	// own is what Wine's start and the guest's name write themselves, whatever was
	// there. It holds the names only of a cold start's writes that changed something.
	own registry.Places
}

func readTemplate() (*template, error) {
	t := &template{own: registry.Places{}}
	for _, hive := range hives {
		text, err := os.ReadFile(filepath.Join(frozenPrefix, hive))
		if err != nil {
			return nil, err
		}
		base, err := registry.ReadBase(text)
		if err != nil {
			return nil, fmt.Errorf("the template's %s: %w", hive, err)
		}
		t.bases = append(t.bases, base)
	}
	t.own.AddValue(computerName, "ComputerName")
	for _, name := range []string{"Hostname", "Domain", "NV Hostname", "NV Domain"} {
		t.own.AddValue(tcpip, name)
	}
	for _, name := range []string{"LOGONSERVER", "USERDOMAIN"} {
		t.own.AddValue(volatile, name)
	}
	return t, nil
}

// observe learns what Wine's start wrote into the registry that lies in a folder.
func (t *template) observe(folder string) error {
	changes, err := t.compare(folder)
	if err != nil {
		return fmt.Errorf("see what Wine's start changes: %w", err)
	}
	t.own.Add(changes)
	return nil
}

// changes are what the registry in a folder has and the template has not, without
// what Wine's start writes. An error says why Wine has to start with that registry.
func (t *template) changes(folder string) ([]registry.Change, error) {
	changes, err := t.compare(folder)
	if err != nil {
		return nil, err
	}
	changes = t.own.Without(changes)
	if len(changes) > maxChanges {
		return nil, fmt.Errorf("its registry differs in %d places", len(changes))
	}
	if at := slices.IndexFunc(changes, needsStart); at >= 0 {
		return nil, fmt.Errorf("%s is read when it starts", changes[at].Key)
	}
	return changes, nil
}

func (t *template) compare(folder string) ([]registry.Change, error) {
	var all []registry.Change
	for i, hive := range hives {
		text, err := readHive(filepath.Join(folder, hive))
		if errors.Is(err, fs.ErrNotExist) {
			continue // makePrefix would take the template's
		}
		if err != nil {
			return nil, err
		}
		if t.bases[i].Is(text) {
			continue
		}
		read, err := registry.Read(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", hive, err)
		}
		changes, err := registry.Changes(t.bases[i], read)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", hive, err)
		}
		all = append(all, changes...)
	}
	return all, nil
}

// readHive reads a file that may be larger than any registry.
func readHive(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > registry.MaxSize {
		return nil, fmt.Errorf("%s has %d bytes", filepath.Base(path), info.Size())
	}
	return os.ReadFile(path)
}
