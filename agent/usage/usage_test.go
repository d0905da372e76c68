//go:build linux

package usage

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"linwin/agent/frame"
	"linwin/agent/wire"
)

// folder lays out a /proc of the given files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const cmdStat = "162 (c) m (d) R 1 160 160 0 -1 4194304 1111 0 0 0 2108 36 0 0 20 0 1 0 598 68411392 3253\n"

func TestProcessesAreDescribed(t *testing.T) {
	root := folder(t, map[string]string{
		"162/stat": cmdStat, "162/statm": "1000 300 100 1 0 1 0\n", "162/cmdline": "cmd\x00/c\x00",
		"162/maps": "140000000-140001000 r--p 00000000 fe:00 1 /usr/lib/wine/x86_64-windows/cmd.exe\n" +
			"150000000-150001000 r--p 00000000 fe:00 2 /run/c/other.exe\n",
		"170/stat": cmdStat, // it ends before its memory is read
		"meminfo":  "",
	})
	found, err := Select(root, func(Process) bool { return true })
	if err != nil || len(found) != 2 {
		t.Fatalf("found %v, %v", found, err)
	}
	list, err := List(found, Windows)
	if err != nil {
		t.Fatal(err)
	}
	want := wire.ProcessInfo{PID: 162, Name: "cmd.exe", CPU: 2144 * 100_000, Private: 200 * 4096}
	if len(list.Processes) != 1 || list.Processes[0] != want {
		t.Errorf("got %+v, want %+v", list.Processes, want)
	}
}

func TestAProcessWithoutAnImageIsNamedByItsCommand(t *testing.T) {
	root := folder(t, map[string]string{"7/cmdline": `C:\tools\a b.com` + "\x00", "7/maps": ""})
	if name, pid := Windows(Process{7, filepath.Join(root, "7")}); name != "a b.com" || pid != 7 {
		t.Errorf("got %q, %d", name, pid)
	}
}

func TestTheWindowsProcessIDIsInAThreadBlock(t *testing.T) {
	const start = 0x10000
	memory := make([]byte, start+4*pageSize)
	block := func(page int, self, process uint64) {
		at := memory[start+page*pageSize:]
		binary.LittleEndian.PutUint64(at[tebSelf:], self)
		binary.LittleEndian.PutUint64(at[tebProcess:], process)
		binary.LittleEndian.PutUint64(at[tebThread:], 1)
	}
	block(1, start, 99)               // points elsewhere
	block(2, start+2*pageSize, 1<<32) // has no such id
	block(3, start+3*pageSize, 140)
	path := filepath.Join(t.TempDir(), "mem")
	if err := os.WriteFile(path, memory, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := processID(path, start, start+4*pageSize); got != 140 {
		t.Errorf("got %d, want 140", got)
	}
	if got := processID(path, start, start+3*pageSize); got != 0 {
		t.Errorf("got %d where there is none", got)
	}
}

func TestTheMachineIsAddedUp(t *testing.T) {
	root := folder(t, map[string]string{
		"stat":    "cpu  10 2 30 400 50 6 7 0 0 0\ncpu0 5 1 15 200 25 3 3 0 0 0\ncpu1 5 1 15 200 25 3 4 0 0 0\nintr 1\n",
		"meminfo": "MemTotal: 1 kB\nCommitted_AS:      2048 kB\n",
		"net/dev": "Inter-| x\n face |y\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 100 2 0 3 0 0 0 0 400 5 0 6 0 0 0 0\n",
	})
	got, err := Machine(root, "/nowhere/at/all", 77)
	if err != nil {
		t.Fatal(err)
	}
	if got.CPU != 55*tick || got.Processors != 2 || got.Private != 77 || got.Commit != 2<<20 || got.CommitPeak < got.Commit {
		t.Errorf("got %+v", got)
	}
	want := map[string]wire.NetworkUsage{
		"eth0": {RxBytes: 100, RxPackets: 2, RxDropped: 3, TxBytes: 400, TxPackets: 5, TxDropped: 6},
	}
	if !maps.Equal(got.Networks, want) {
		t.Errorf("networks %+v, want %+v", got.Networks, want)
	}
}

func TestDiskCountersAreSectors(t *testing.T) {
	got, err := parseDisk("     457        0     6480      101       9        8       16       7        0       96\n")
	want := wire.DiskUsage{Reads: 457, ReadBytes: 6480 * 512, Writes: 9, WrittenBytes: 16 * 512}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestAListFitsIntoAFrameWhateverTheNames(t *testing.T) {
	self := Process{os.Getpid(), "/proc/self"}
	for name, most := range map[string]int{"cmd.exe": maxProcesses, strings.Repeat("\x01", 100): 200} {
		list, err := List(slices.Repeat([]Process{self}, 600), func(Process) (string, uint32) { return name, 1 << 31 })
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(wire.Respond(list, nil))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(list.Processes); n > most || n < 100 || len(encoded) > frame.MaxPayload {
			t.Errorf("%q: %d processes in %d bytes", name, n, len(encoded))
		}
	}
}
