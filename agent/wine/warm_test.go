//go:build linux

package wine

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSameContent(t *testing.T) {
	folder := t.TempDir()
	long := bytes.Repeat([]byte("hive "), 50_000) // several pieces
	other := append(bytes.Clone(long[:len(long)-1]), '!')
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first := write("first", long)
	for name, content := range map[string][]byte{"same": long, "other": other, "shorter": long[1:], "empty": nil} {
		same, err := sameContent(first, write(name, content))
		if err != nil || same != (name == "same") {
			t.Errorf("%s: %v, %v", name, same, err)
		}
	}
	if _, err := sameContent(first, filepath.Join(folder, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}
