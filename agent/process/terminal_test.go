//go:build linux

package process

import (
	"syscall"
	"testing"
	"unsafe"

	"linwin/agent/wire"
)

func TestATerminalHasItsSizeAndRawPassesKeysOn(t *testing.T) {
	terminal, slave, err := openPair(wire.Size{Rows: 24, Columns: 80})
	if err != nil {
		t.Skip(err)
	}
	defer terminal.master.Close()
	defer slave.Close()
	var size [4]uint16
	for _, want := range []wire.Size{{Rows: 24, Columns: 80}, {Rows: 50, Columns: 132}} {
		if err := terminal.resize(want); err != nil {
			t.Fatal(err)
		}
		if err := ioctl(slave, syscall.TIOCGWINSZ, unsafe.Pointer(&size)); err != nil {
			t.Fatal(err)
		}
		if got := (wire.Size{Rows: size[0], Columns: size[1]}); got != want {
			t.Errorf("the size is %v, want %v", got, want)
		}
	}
	if err := MakeRaw(slave); err != nil {
		t.Fatal(err)
	}
	keys := "a\r\x03\n"
	if _, err := terminal.master.WriteString(keys); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(keys))
	if n, err := slave.Read(got); err != nil || string(got[:n]) != keys {
		t.Errorf("read %q, %v, want %q", got[:n], err, keys)
	}
}

func TestAResizeAfterTheEndIsNoError(t *testing.T) {
	terminal, slave, err := openPair(wire.Size{Rows: 24, Columns: 80})
	if err != nil {
		t.Skip(err)
	}
	slave.Close()
	terminal.master.Close()
	if err := terminal.resize(wire.Size{Rows: 1, Columns: 1}); err != nil {
		t.Error(err)
	}
}
