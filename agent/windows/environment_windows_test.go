package windows

import (
	"slices"
	"testing"
	"unicode/utf16"

	"linwin/agent/wire"
)

func TestAnEnvironmentBlockIsSortedWithoutCaseAndComesBack(t *testing.T) {
	v := variables{}
	for name, value := range map[string]string{"b": "2", "A": "x=y", "Ünï": "é\x00!", "": "nameless", "_": ""} {
		v.set(name, value)
	}
	v.set("a", "3")
	block := v.block()
	want := utf16.Encode([]rune("a=3\x00b=2\x00_=\x00Ünï=é!\x00\x00"))
	if !slices.Equal(block, want) {
		t.Errorf("the block is %q", string(utf16.Decode(block)))
	}
	again := parse(&block[0])
	if len(again) != 4 || again.get("A") != "3" || again.get("ünÏ") != "é!" || again["A"].name != "a" {
		t.Errorf("it comes back as %v", again)
	}
	if got := (variables{}).block(); !slices.Equal(got, []uint16{0, 0}) {
		t.Errorf("an empty block is %v", got)
	}
}

func TestCoordinates(t *testing.T) {
	for size, want := range map[[2]uint16]uintptr{{24, 80}: 24<<16 | 80, {65535, 65535}: 32767<<16 | 32767} {
		if got := coordinates(wire.Size{Rows: size[0], Columns: size[1]}); got != want {
			t.Errorf("%v becomes %#x, want %#x", size, got, want)
		}
	}
}
