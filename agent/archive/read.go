package archive

import (
	"archive/tar"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"linwin/agent/wire"
)

// The records of a Windows layer that tell what tar cannot.
const (
	attributesRecord = "MSWINDOWS.fileattr"
	securityRecord   = "MSWINDOWS.rawsd"
	creationRecord   = "LIBARCHIVE.creationtime"
)

const (
	attributeReadOnly  = 0x1
	attributeDirectory = 0x10
)

// metadata is what NTFS keeps of a file that Linux does not show.
type metadata struct {
	attributes uint32
	known      bool // attributes are
	security   []byte
	created    time.Time // zero where it is not known
}

// Stat tells what lies at a path.
func (r *Root) Stat(name string, folder bool) (wire.FileStat, error) {
	found, err := r.find(name, folder)
	if err != nil {
		return wire.FileStat{}, err
	}
	stat := wire.FileStat{Directory: found.info.IsDir(), Modified: max(0, found.info.ModTime().UnixNano())}
	switch {
	case found.link():
		if stat.Link, err = r.root.Readlink(found.path); err != nil {
			return stat, translate(found.path, err)
		}
		stat.Link, _ = shown(stat.Link)
	case !found.info.IsDir():
		stat.Size = uint64(found.info.Size())
		stat.ReadOnly = found.info.Mode()&0o222 == 0
	}
	return stat, nil
}

// Get writes a tar of the file at a path, or of the folder and all below it. Its
// first member is called base.
func (r *Root) Get(name string, folder bool, base string, w io.Writer) error {
	found, err := r.find(name, folder)
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	if err := r.add(t, found, base); err != nil {
		return err
	}
	return t.Close()
}

// add writes a member and, for a folder, all below it in order of names.
func (r *Root) add(t *tar.Writer, p place, name string) error {
	switch {
	case p.link():
		return r.addLink(t, p, name)
	case p.info.IsDir():
		return r.addFolder(t, p, name)
	case p.info.Mode().IsRegular():
		return r.addFile(t, p, name)
	}
	return wire.Errorf(wire.Invalid, "%q is neither a file nor a folder nor a link", p.path)
}

func (r *Root) addLink(t *tar.Writer, p place, name string) error {
	target, err := r.root.Readlink(p.path)
	if err != nil {
		return translate(p.path, err)
	}
	target, _ = shown(target)
	h := header(name, tar.TypeSymlink, p.info.ModTime(), metadata{})
	h.Linkname, h.Mode = target, 0o777
	return t.WriteHeader(h)
}

func (r *Root) addFolder(t *tar.Writer, p place, name string) error {
	f, err := r.root.Open(p.path)
	if err != nil {
		return translate(p.path, err)
	}
	kept, err := read(f)
	names, listing := f.Readdirnames(-1)
	f.Close()
	if err := errors.Join(err, listing); err != nil {
		return translate(p.path, err)
	}
	name = strings.TrimSuffix(name, "/")
	if err := t.WriteHeader(header(name+"/", tar.TypeDir, p.info.ModTime(), kept)); err != nil {
		return err
	}
	slices.Sort(names)
	for _, child := range names {
		at := path.Join(p.path, child)
		info, err := r.root.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a program has just deleted it
		}
		if err != nil {
			return translate(at, err)
		}
		if err := r.add(t, place{at, info}, name+"/"+child); err != nil {
			return err
		}
	}
	return nil
}

func (r *Root) addFile(t *tar.Writer, p place, name string) error {
	f, err := r.root.OpenFile(p.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return translate(p.path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return translate(p.path, err)
	}
	kept, err := read(f)
	if err != nil {
		return translate(p.path, err)
	}
	h := header(name, tar.TypeReg, info.ModTime(), kept)
	h.Size = info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyN(t, f, info.Size())
	if errors.Is(err, io.EOF) {
		return wire.Errorf(wire.Unavailable, "%q became shorter while it was read: %d of %d bytes", p.path, n, h.Size)
	}
	if err != nil {
		return translate(p.path, err)
	}
	return nil
}

// header describes a member with the modes that docker on Windows gives.
func header(name string, kind byte, modified time.Time, kept metadata) *tar.Header {
	h := &tar.Header{
		Name: name, Typeflag: kind, ModTime: modified, Mode: 0o755, Format: tar.FormatPAX,
		PAXRecords: map[string]string{},
	}
	if kept.known {
		if kind == tar.TypeReg && kept.attributes&attributeReadOnly != 0 {
			h.Mode = 0o555
		}
		h.PAXRecords[attributesRecord] = strconv.FormatUint(uint64(kept.attributes), 10)
	}
	if len(kept.security) > 0 {
		h.PAXRecords[securityRecord] = base64.StdEncoding.EncodeToString(kept.security)
	}
	if !kept.created.IsZero() {
		h.PAXRecords[creationRecord] = seconds(kept.created)
	}
	return h
}

// seconds writes a time as pax does, in steps of 100 ns, which NTFS knows.
func seconds(t time.Time) string {
	text := strconv.FormatInt(t.Unix(), 10)
	if ticks := t.Nanosecond() / 100; ticks != 0 {
		text += "." + strings.TrimRight(strconv.Itoa(10_000_000 + ticks)[1:], "0")
	}
	return text
}
