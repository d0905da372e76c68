package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"linwin/agent/wire"
)

// newRoot makes a root with a few files in it.
func newRoot(t *testing.T) (*Root, string) {
	dir := t.TempDir()
	for _, made := range []string{"Users/Me", "d"} {
		if err := os.MkdirAll(filepath.Join(dir, made), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Users", "Me", "Note.TXT"), []byte("12345"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

// pack makes an archive of empty files and, for names that end in a slash, folders.
func pack(t *testing.T, names ...string) *bytes.Buffer {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		kind := byte(tar.TypeReg)
		if name[len(name)-1] == '/' {
			kind = tar.TypeDir
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func kindOf(err error) wire.Kind {
	var known *wire.Error
	if !errors.As(err, &known) {
		return ""
	}
	return known.Kind
}

func TestStatFindsNamesInAnyCase(t *testing.T) {
	root, _ := newRoot(t)
	for name, folder := range map[string]bool{"users/ME/note.txt": false, "USERS": true, "": true} {
		if _, err := root.Stat(name, folder); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, kind := range map[string]wire.Kind{
		"users/none": wire.NotFound, "users/me/note.txt/x": wire.NotFound, "a/../b": wire.Invalid, "a//b": wire.Invalid,
	} {
		if _, err := root.Stat(name, false); kindOf(err) != kind {
			t.Errorf("%q: %v, want an error of kind %s", name, err, kind)
		}
	}
}

func TestGetWritesFoldersBeforeWhatIsInThem(t *testing.T) {
	root, _ := newRoot(t)
	var b bytes.Buffer
	if err := root.Get("users", true, "asked", &b); err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
	}
	if want := []string{"asked/", "asked/Me/", "asked/Me/Note.TXT"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

func TestPutMergesFoldersAndGoesThroughNoLink(t *testing.T) {
	root, dir := newRoot(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	if err := root.Put("", true, pack(t, "USERS/", "users/new")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "Users", "new")); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"out/x", "d", "users/me/note.txt/", "users/me/note.txt/x", "../x", `a\b`} {
		if err := root.Put("", true, pack(t, name)); kindOf(err) != wire.Invalid {
			t.Errorf("%q: %v, want a refusal", name, err)
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("outside are %v, %v", left, err)
	}
}

func TestLinksAreMadeRelativeAndStayWithin(t *testing.T) {
	for _, c := range []struct{ target, at, want string }{
		{`C:\a\b`, "x/y/l", "../../a/b"}, {"/a", "l", "a"}, {"/../../a", "x/l", "../a"},
		{`C:\..\a`, "l", "a"}, {"../a", "x/l", "../a"}, {"../a", "l", ""}, {`D:\a`, "l", ""},
	} {
		got, err := relative(c.target, c.at)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s at %s: %q, %v, want %q", c.target, c.at, got, err, c.want)
		}
	}
}

func TestTimesAreCutToWhatNTFSKnows(t *testing.T) {
	for ns, want := range map[int]string{0: "5", 500_000_000: "5.5", 199: "5.0000001", 99: "5"} {
		if got := seconds(time.Unix(5, int64(ns))); got != want {
			t.Errorf("%d ns: %s, want %s", ns, got, want)
		}
	}
}
