//go:build linux

package usage

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where Wine keeps what Windows calls the thread environment block (TEB) of a
// 64-bit process: in the last private pages before the page that all processes
// share. Offsets are those of winternl.h.
const (
	sharedPage = 0x7ffe0000
	tebSelf    = 0x30
	tebProcess = 0x40
	tebThread  = 0x48
	tebEnd     = tebThread + 8
	maxTEBs    = 1 << 20
)

// Windows tells what a process under Wine is called and numbered in Windows:
// its image as it is mapped, and the process id that a thread of it has. Where
// the latter is not found, the number is Linux's.
func Windows(p Process) (name string, pid uint32) {
	name, pid = base(p.Words()[0]), uint32(p.PID)
	maps, err := os.Open(filepath.Join(p.folder, "maps"))
	if err != nil {
		return name, pid
	}
	defer maps.Close()
	image := ""
	for lines := bufio.NewScanner(maps); lines.Scan() && image == ""; {
		var start, end uint64
		var access string
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "%x-%x %s", &start, &end, &access); err != nil {
			continue
		}
		if end == sharedPage && strings.HasPrefix(access, "rw") {
			if found := processID(filepath.Join(p.folder, "mem"), start, end); found != 0 {
				pid = found
			}
		}
		if _, file, ok := strings.Cut(line, "/"); ok && strings.HasSuffix(strings.ToLower(file), ".exe") {
			image = base(file)
		}
	}
	if image != "" {
		name = image
	}
	return name, pid
}

// processID looks for a TEB, which points at itself, and reads its process id.
func processID(mem string, start, end uint64) uint32 {
	if end-start > maxTEBs {
		start = end - maxTEBs
	}
	file, err := os.Open(mem)
	if err != nil {
		return 0
	}
	defer file.Close()
	block := make([]byte, end-start)
	n, err := file.ReadAt(block, int64(start))
	if err != nil && n == 0 {
		return 0
	}
	for at := 0; at+tebEnd <= n; at += pageSize {
		teb := block[at:]
		process, thread := field(teb, tebProcess), field(teb, tebThread)
		if field(teb, tebSelf) == start+uint64(at) && process != 0 && process < 1<<32 && thread != 0 {
			return uint32(process)
		}
	}
	return 0
}

func field(teb []byte, offset int) uint64 { return binary.LittleEndian.Uint64(teb[offset:]) }
