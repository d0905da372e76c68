package archive

import (
	"archive/tar"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"linwin/agent/wire"
)

// unpacking is one archive on its way into a folder.
type unpacking struct {
	root      *Root
	into      string
	keepKinds bool
	folders   []folder // whose times are set when nothing more is put into them
}

type folder struct {
	path   string
	header *tar.Header
}

// Put unpacks an archive into the folder at a path. With keepKinds neither does
// a file replace a folder nor a folder a file.
func (r *Root) Put(name string, keepKinds bool, archive io.Reader) error {
	into, err := r.destination(name)
	if err != nil {
		return err
	}
	u := &unpacking{root: r, into: into, keepKinds: keepKinds}
	t := tar.NewReader(archive)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return u.finish()
		}
		if err != nil {
			return wire.Errorf(wire.Invalid, "the archive is damaged: %v", err)
		}
		if err := u.member(h, t); err != nil {
			return err
		}
	}
}

func (r *Root) destination(name string) (string, error) {
	into, err := r.find(name, true)
	if err == nil {
		return into.path, nil
	}
	if _, there := r.find(name, false); there == nil {
		return "", wire.Errorf(wire.Invalid, "extraction point is not a directory")
	}
	return "", err
}

func (u *unpacking) member(h *tar.Header, data io.Reader) error {
	parts, err := split(strings.TrimSuffix(h.Name, "/"))
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return nil
	}
	parent, err := u.parent(parts[:len(parts)-1])
	if err != nil {
		return err
	}
	at := path.Join(parent, parts[len(parts)-1])
	there, err := u.root.child(parent, parts[len(parts)-1])
	if err == nil {
		at = there.path
		merged, err := u.makeRoom(there, h)
		if err != nil {
			return err
		}
		if merged {
			u.folders = append(u.folders, folder{at, h})
			return nil
		}
	} else if !errors.Is(err, errMissing) {
		return err
	}
	return u.create(at, h, data)
}

// parent walks to the folder of a member and makes what is missing. It goes
// through no link: the archive may have brought it.
func (u *unpacking) parent(parts []string) (string, error) {
	at := u.into
	for _, part := range parts {
		child, err := u.root.child(at, part)
		if errors.Is(err, errMissing) {
			at = path.Join(at, part)
			if err := u.root.root.Mkdir(at, 0o755); err != nil {
				return "", translate(at, err)
			}
			continue
		}
		if err != nil {
			return "", err
		}
		if !child.info.IsDir() {
			return "", wire.Errorf(wire.Invalid, "%q on its path is not a folder", part)
		}
		at = child.path
	}
	return at, nil
}

// makeRoom takes away what is in a member's place. It reports true for a folder
// that stays, since the member is one too.
func (u *unpacking) makeRoom(there place, h *tar.Header) (merged bool, err error) {
	isFolder, wasFolder := h.Typeflag == tar.TypeDir, there.info.IsDir()
	shown := `C:\` + strings.ReplaceAll(there.path, "/", `\`)
	switch {
	case isFolder && wasFolder:
		return true, nil
	case u.keepKinds && wasFolder:
		return false, wire.Errorf(wire.Invalid, "cannot overwrite directory %q with non-directory", shown)
	case u.keepKinds && isFolder:
		return false, wire.Errorf(wire.Invalid, "cannot overwrite non-directory %q with directory", shown)
	}
	// A program that has the file open keeps what it has, as on Linux.
	if err := u.root.root.RemoveAll(there.path); err != nil {
		return false, translate(there.path, err)
	}
	return false, nil
}

func (u *unpacking) create(at string, h *tar.Header, data io.Reader) error {
	root := u.root.root
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(at, 0o755); err != nil {
			return translate(at, err)
		}
		u.folders = append(u.folders, folder{at, h})
		return nil
	case tar.TypeReg:
		return u.file(at, h, data)
	case tar.TypeSymlink:
		target, err := relative(h.Linkname, at)
		if err == nil {
			err = root.Symlink(target, at)
		}
		if err != nil {
			return translate(at, err)
		}
		return nil
	case tar.TypeLink:
		return u.hardLink(at, h.Linkname)
	}
	return wire.Errorf(wire.Invalid, "a member of type %q has no place on a Windows volume", h.Typeflag)
}

func (u *unpacking) file(at string, h *tar.Header, data io.Reader) (err error) {
	f, err := u.root.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return translate(at, err)
	}
	_, err = io.Copy(f, data)
	if err == nil {
		err = set(f, h)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = u.times(at, h)
	}
	if err != nil {
		return translate(at, errors.Join(err, u.root.root.Remove(at))) // half a file is none
	}
	return nil
}

func (u *unpacking) hardLink(at, target string) error {
	old, err := u.root.find(path.Join(slashed(u.into), target), false)
	if err != nil {
		return wire.Errorf(wire.Invalid, "there is no file %q to link to", target)
	}
	if !old.info.Mode().IsRegular() {
		return wire.Errorf(wire.Invalid, "%q is no file, and so has no hard links", target)
	}
	if err := u.root.root.Link(old.path, at); err != nil {
		return translate(at, err)
	}
	return nil
}

// finish gives the folders their metadata, innermost first.
func (u *unpacking) finish() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		at, h := u.folders[i].path, u.folders[i].header
		f, err := u.root.root.Open(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a later member took its place
		}
		if err == nil {
			err = errors.Join(set(f, h), f.Close())
		}
		if err == nil {
			err = u.times(at, h)
		}
		if err != nil {
			return translate(at, err)
		}
	}
	return nil
}

func (u *unpacking) times(at string, h *tar.Header) error {
	accessed := h.AccessTime
	if accessed.IsZero() {
		accessed = time.Now()
	}
	return u.root.root.Chtimes(at, accessed, h.ModTime)
}

// set gives an open file what the archive's records say of it.
func set(f *os.File, h *tar.Header) error {
	var kept metadata
	if text, ok := h.PAXRecords[securityRecord]; ok {
		security, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return wire.Errorf(wire.Invalid, "its security descriptor is not base64")
		}
		kept.security = security
	}
	if text, ok := h.PAXRecords[attributesRecord]; ok {
		attributes, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return wire.Errorf(wire.Invalid, "its attributes are no number of 32 bits")
		}
		kept.attributes, kept.known = uint32(attributes), true
	}
	return write(f, kept)
}

// relative makes a link's target one that Linux finds below C: and Windows too:
// relative to the link.
func relative(target, at string) (string, error) {
	target, ok := shown(target)
	if !ok {
		return "", wire.Errorf(wire.Invalid, "its link leads to another drive")
	}
	depth := strings.Count(at, "/")
	if strings.HasPrefix(target, "/") {
		target = path.Clean(target) // which takes what leads above the root
		return path.Clean(strings.Repeat("../", depth) + strings.TrimLeft(target, "/")), nil
	}
	if clean := path.Clean(strings.Repeat("x/", depth) + target); clean == ".." || strings.HasPrefix(clean, "../") {
		return "", wire.Errorf(wire.Invalid, "its link leads out of C:")
	}
	return target, nil
}

func slashed(at string) string {
	if at == "." {
		return ""
	}
	return at
}
