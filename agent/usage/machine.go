//go:build linux

package usage

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"linwin/agent/wire"
)

const sectorSize = 512

// commitPeak is the most committed memory that was seen.
var commitPeak atomic.Uint64

// Machine is what the whole guest has taken since it was booted: CPU time, disk
// and network. private is the memory of its programs, and drive a path on the
// disk that is counted.
func Machine(proc, drive string, private uint64) (usage wire.Usage, err error) {
	usage.Private = private
	if usage.CPU, usage.Processors, err = processors(proc); err != nil {
		return usage, err
	}
	if usage.Commit, err = committed(proc); err != nil {
		return usage, err
	}
	for peak := commitPeak.Load(); usage.Commit > peak; peak = commitPeak.Load() {
		commitPeak.CompareAndSwap(peak, usage.Commit)
	}
	usage.CommitPeak = commitPeak.Load()
	if usage.Disk, err = disk(drive); err != nil {
		return usage, err
	}
	usage.Networks, err = networks(proc)
	return usage, err
}

// PrivateOf is the private memory of processes together.
func PrivateOf(processes []Process) (uint64, error) {
	var sum uint64
	for _, p := range processes {
		private, err := p.Private()
		if err != nil && !gone(err) {
			return 0, err
		}
		sum += private
	}
	return sum, nil
}

// processors tells how many there are and how long they were busy, in 100 ns.
func processors(proc string) (busy uint64, count uint32, err error) {
	err = eachLine(filepath.Join(proc, "stat"), func(line string) error {
		words := strings.Fields(line)
		if len(words) < 8 || !strings.HasPrefix(words[0], "cpu") {
			return nil
		}
		if words[0] != "cpu" {
			count++
			return nil
		}
		for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq: neither idle nor iowait
			ticks, err := strconv.ParseUint(words[i], 10, 64)
			if err != nil {
				return err
			}
			busy += ticks * tick
		}
		return nil
	})
	return busy, count, err
}

func committed(proc string) (bytes uint64, err error) {
	err = eachLine(filepath.Join(proc, "meminfo"), func(line string) error {
		text, ok := strings.CutPrefix(line, "Committed_AS:")
		if !ok {
			return nil
		}
		kilobytes, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 64)
		bytes = kilobytes << 10
		return err
	})
	return bytes, err
}

// disk reads the counters of the block device that a path is on; a file system
// without one has none.
func disk(path string) (wire.DiskUsage, error) {
	var status syscall.Stat_t
	if err := syscall.Stat(path, &status); err != nil {
		return wire.DiskUsage{}, nil // before C: is there
	}
	major, minor := status.Dev>>8&0xfff, status.Dev&0xff|status.Dev>>12&0xfff00
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor))
	if err != nil {
		return wire.DiskUsage{}, nil
	}
	return parseDisk(string(text))
}

// parseDisk reads a block device's stat file (Documentation/block/stat.rst).
func parseDisk(text string) (usage wire.DiskUsage, err error) {
	var readMerges, readTicks, writeMerges uint64
	_, err = fmt.Sscan(text, &usage.Reads, &readMerges, &usage.ReadBytes, &readTicks,
		&usage.Writes, &writeMerges, &usage.WrittenBytes)
	usage.ReadBytes *= sectorSize
	usage.WrittenBytes *= sectorSize
	return usage, err
}

// networks reads the counters of every interface but the loopback one.
func networks(proc string) (map[string]wire.NetworkUsage, error) {
	found := map[string]wire.NetworkUsage{}
	err := eachLine(filepath.Join(proc, "net/dev"), func(line string) error {
		name, counters, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "lo" {
			return nil
		}
		var n [12]uint64
		for i, word := range strings.Fields(counters) {
			if i == len(n) {
				break
			}
			var err error
			if n[i], err = strconv.ParseUint(word, 10, 64); err != nil {
				return err
			}
		}
		found[name] = wire.NetworkUsage{
			RxBytes: n[0], RxPackets: n[1], RxDropped: n[3], TxBytes: n[8], TxPackets: n[9], TxDropped: n[11],
		}
		return nil
	})
	return found, err
}

func eachLine(path string, do func(string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if err := do(lines.Text()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return lines.Err()
}
