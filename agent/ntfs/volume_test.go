package ntfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// volume is one that mkntfs made.
func volume(t testing.TB, bytes int64, options ...string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "volume")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := file.Truncate(bytes); err != nil {
		t.Fatal(err)
	}
	mkntfs := exec.Command("mkntfs", append(options, "--quick", "--force", "--quiet", path)...)
	mkntfs.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if output, err := mkntfs.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return file
}

func TestTheMapIsWhereItSaysItselfThatItIs(t *testing.T) {
	for _, c := range []struct {
		name            string
		bytes, clusters int64
		cluster         string
	}{
		{"4 KiB", 40 << 30, 40 << 18, "4096"},
		{"64 KiB", 10 << 30, 10 << 14, "65536"},
		{"512 bytes", 64 << 20, 64 << 11, "512"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := volume(t, c.bytes, "--cluster-size", c.cluster)
			found := bitmap(t, file)
			size := c.bytes / c.clusters
			var content []byte
			for _, e := range found {
				part := make([]byte, e.Length)
				if _, err := file.ReadAt(part, e.Offset); err != nil {
					t.Fatal(err)
				}
				content = append(content, part...)
			}
			// The last sector is no part of the volume's clusters, but of its backup boot sector.
			if least := (c.clusters - 1) / 8; int64(len(content)) < least || int64(len(content)) > least+size+8 {
				t.Errorf("%d bytes for %d clusters", len(content), c.clusters)
			}
			used := func(cluster int64) bool { return content[cluster/8]>>(cluster%8)&1 == 1 }
			if !used(0) {
				t.Error("the boot sector's cluster is free")
			}
			for _, e := range found {
				for cluster := e.Offset / size; cluster < (e.Offset+e.Length)/size; cluster++ {
					if !used(cluster) {
						t.Fatalf("cluster %d, of the map itself, is free", cluster)
					}
				}
			}
			if end := c.clusters - 100; used(end) && used(end-1) && used(end-2) {
				t.Error("an empty volume is full at its end")
			}
		})
	}
}

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

func TestDirty(t *testing.T) {
	file := volume(t, 16<<20)
	for _, wanted := range []bool{false, true} {
		if wanted {
			markDirty(t, file)
		}
		opened, err := Open(file)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := opened.Dirty(); err != nil || found != wanted {
			t.Errorf("%v, %v instead of %v", found, err, wanted)
		}
	}
}

// markDirty has ntfsfix, which asks for a check by Windows.
func markDirty(t *testing.T, file *os.File) {
	t.Helper()
	if output, err := exec.Command("ntfsfix", file.Name()).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
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
