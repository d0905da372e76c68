package ntfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

func bitmap(t *testing.T, content io.ReaderAt) []Extent {
	t.Helper()
	opened, err := Open(content)
	if err != nil {
		t.Fatal(err)
	}
	found, err := opened.Bitmap()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestRuns(t *testing.T) {
	pairs := []byte{0x21, 0x18, 0x34, 0x56, 0x11, 0x02, 0xfe, 0x22, 0x00, 0x01, 0x00, 0x80, 0x00, 0xff}
	if _, err := runs(pairs, 4096); err == nil {
		t.Error("a run before the volume was found")
	}
	found, err := runs(append(pairs[:7:7], 0), 4096)
	if err != nil || len(found) != 2 || found[0] != (Extent{0x5634 << 12, 0x18 << 12}) || found[1] != (Extent{0x5632 << 12, 2 << 12}) {
		t.Errorf("%v, %v", found, err)
	}
}

// image is the smallest that has a map: a boot sector and seven file records.
func image() []byte {
	made := make([]byte, 16<<10)
	copy(made[3:], "NTFS    ")
	binary.LittleEndian.PutUint16(made[0x0b:], 512)
	made[0x0d] = 8
	binary.LittleEndian.PutUint64(made[0x30:], 1)
	made[0x40] = 0xf6 // 2^10 bytes
	record := made[4096+6<<10:][:1<<10]
	copy(record, "FILE")
	binary.LittleEndian.PutUint16(record[4:], 0x30)
	binary.LittleEndian.PutUint16(record[6:], 3)
	binary.LittleEndian.PutUint16(record[0x14:], 0x38)
	attribute := record[0x38:]
	binary.LittleEndian.PutUint32(attribute, 0x80)
	binary.LittleEndian.PutUint32(attribute[4:], 0x48)
	attribute[8] = 1
	binary.LittleEndian.PutUint16(attribute[0x20:], 0x40)
	copy(attribute[0x40:], []byte{0x11, 0x02, 0x09, 0x00})
	binary.LittleEndian.PutUint32(attribute[0x48:], endType)
	return made
}

func TestDamage(t *testing.T) {
	if whole := bitmap(t, bytes.NewReader(image())); len(whole) != 1 || whole[0] != (Extent{9 << 12, 2 << 12}) {
		t.Fatal(whole)
	}
	const record = 4096 + 6<<10
	for name, damage := range map[string]func([]byte){
		"no NTFS":               func(b []byte) { b[3] = 'M' },
		"no clusters":           func(b []byte) { b[0x0d] = 0 },
		"huge clusters":         func(b []byte) { b[0x0d] = 0x80 },
		"huge records":          func(b []byte) { b[0x40] = 0x80 },
		"records far away":      func(b []byte) { b[0x37] = 0x7f },
		"no record":             func(b []byte) { b[record] = 'B' },
		"torn":                  func(b []byte) { b[record+510] = 1 },
		"too many updates":      func(b []byte) { b[record+6] = 200 },
		"updates out of place":  func(b []byte) { b[record+5] = 0xff },
		"attributes elsewhere":  func(b []byte) { b[record+0x15] = 0xff },
		"attribute of no size":  func(b []byte) { b[record+0x3c] = 0 },
		"attribute too long":    func(b []byte) { b[record+0x3d] = 0xff },
		"resident":              func(b []byte) { b[record+0x40] = 0 },
		"pairs elsewhere":       func(b []byte) { b[record+0x59] = 0xff },
		"pairs of nine bytes":   func(b []byte) { b[record+0x78] = 0x19 },
		"pairs without a place": func(b []byte) { b[record+0x78] = 0x01 },
		"a run of no length":    func(b []byte) { b[record+0x79] = 0 },
	} {
		broken := image()
		damage(broken)
		opened, err := Open(bytes.NewReader(broken))
		if err != nil {
			continue
		}
		if found, err := opened.Bitmap(); err == nil {
			t.Errorf("%s: %v", name, found)
		}
	}
}

func FuzzVolume(f *testing.F) {
	f.Add(image())
	f.Fuzz(func(t *testing.T, content []byte) {
		opened, err := Open(bytes.NewReader(content))
		if err != nil {
			return
		}
		opened.Dirty() // may fail, but not panic
		found, err := opened.Bitmap()
		for _, e := range found {
			if err != nil || e.Offset < 0 || e.Length <= 0 || e.Offset+e.Length < 0 {
				t.Errorf("%v, %v", e, err)
			}
		}
	})
}
