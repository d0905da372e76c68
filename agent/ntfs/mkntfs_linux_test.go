package ntfs

import (
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
