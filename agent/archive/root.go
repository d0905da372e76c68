// Package archive copies files into and out of a folder that stands for C:, as
// tar streams. Names are found in any case, links are followed as docker follows
// them, and nothing leads out of the folder.
package archive

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"linwin/agent/wire"
)

// mostLinks bounds the links that are followed on the way to one file.
const mostLinks = 40

// Root is the folder that stands for C:. The operating system keeps every
// operation on it within, whatever programs do to its links meanwhile.
type Root struct{ root *os.Root }

// Open opens the folder at a path of this system.
func Open(name string) (*Root, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Root{root}, nil
}

// Close lets go of the folder.
func (r *Root) Close() error { return r.root.Close() }

var errMissing = wire.Errorf(wire.NotFound, "no such file")

// place is a file or folder that is there, by the names that the disk has.
type place struct {
	path string // with slashes; "." for the root
	info fs.FileInfo
}

func (p place) link() bool { return p.info.Mode()&fs.ModeSymlink != 0 }

// find walks to a path with slashes, "" for the root. A link at its end is
// followed where it is to be a folder, or where that is asked for.
func (r *Root) find(name string, folder bool) (place, error) {
	parts, err := split(name)
	if err != nil {
		return place{}, err
	}
	for range mostLinks {
		found, next, err := r.walk(parts, folder)
		if err != nil {
			return place{}, err
		}
		if next == nil {
			if folder && !found.info.IsDir() {
				return place{}, errMissing
			}
			return found, nil
		}
		parts = next
	}
	return place{}, errMissing
}

// walk comes to the end, or to the first link that is to be followed: then it
// returns the path that the link makes.
func (r *Root) walk(parts []string, followLast bool) (found place, next []string, err error) {
	info, err := r.root.Lstat(".")
	if err != nil {
		return place{}, nil, translate(".", err)
	}
	at := place{".", info}
	for i, name := range parts {
		if !at.info.IsDir() {
			return place{}, nil, errMissing
		}
		child, err := r.child(at.path, name)
		if err != nil {
			return place{}, nil, err
		}
		if child.link() && (followLast || i+1 < len(parts)) {
			target, err := r.root.Readlink(child.path)
			if err != nil {
				return place{}, nil, translate(child.path, err)
			}
			next, ok := follow(target, parts[:i])
			if !ok {
				return place{}, nil, errMissing
			}
			return place{}, append(next, parts[i+1:]...), nil
		}
		at = child
	}
	return at, nil, nil
}

// child finds a name in a folder whatever its case, as it is written before any
// other.
func (r *Root) child(folder, name string) (place, error) {
	exact := path.Join(folder, name)
	info, err := r.root.Lstat(exact)
	if err == nil {
		return place{exact, info}, nil
	}
	if !missing(err) {
		return place{}, translate(exact, err)
	}
	names, err := r.names(folder)
	if err != nil {
		return place{}, err
	}
	for _, other := range names {
		if strings.EqualFold(other, name) {
			found := path.Join(folder, other)
			if info, err = r.root.Lstat(found); err == nil {
				return place{found, info}, nil
			}
		}
	}
	return place{}, errMissing
}

func (r *Root) names(folder string) ([]string, error) {
	f, err := r.root.Open(folder)
	if err != nil {
		return nil, translate(folder, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, translate(folder, err)
	}
	return names, nil
}

// split takes a path of canonical names apart, as the host sends them.
func split(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	parts := strings.Split(name, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00") {
			return nil, wire.Errorf(wire.Invalid, "%q is no path", name)
		}
	}
	return parts, nil
}

// follow tells where a link in the folder parent leads, as names from the root
// on. It is false for another drive.
func follow(link string, parent []string) (parts []string, ok bool) {
	link, ok = shown(link)
	if !ok {
		return nil, false
	}
	if !strings.HasPrefix(link, "/") {
		parts = append(parts, parent...)
	}
	for _, part := range strings.Split(link, "/") {
		switch {
		case part == "..":
			parts = parts[:max(0, len(parts)-1)]
		case part != "" && part != ".":
			parts = append(parts, part)
		}
	}
	return append([]string{}, parts...), true
}

// shown turns a Windows link's target into one with slashes, from the root on
// where it named C:. It is false for another drive.
func shown(link string) (string, bool) {
	link = strings.ReplaceAll(link, `\`, "/")
	for _, prefix := range []string{"/??/", "//?/", "//./"} {
		link = strings.TrimPrefix(link, prefix)
	}
	if len(link) >= 2 && link[1] == ':' {
		if link[0] != 'c' && link[0] != 'C' {
			return link, false
		}
		link = "/" + strings.TrimPrefix(link[2:], "/")
	}
	return link, true
}

func missing(err error) bool {
	// A name that Windows cannot have is one that is not there.
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENAMETOOLONG)
}

// translate makes what went wrong with a file an error for the host's user.
func translate(name string, err error) error {
	var known *wire.Error
	shown := `C:\` + strings.ReplaceAll(name, "/", `\`)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, io.ErrUnexpectedEOF):
		return wire.Errorf(wire.Invalid, "the archive is damaged: it ends in the middle of %q", shown)
	case errors.Is(err, syscall.ENOSPC):
		return wire.Errorf(wire.Unavailable, "no space left on the container's C: volume")
	case errors.Is(err, fs.ErrNotExist):
		return errMissing
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG):
		return wire.Errorf(wire.Invalid, "NTFS does not accept %q", shown)
	}
	var inner syscall.Errno
	if errors.As(err, &inner) {
		return wire.Errorf(wire.Unavailable, "%q cannot be copied: %v", shown, inner)
	}
	return wire.Errorf(wire.Unavailable, "%q cannot be copied: %v", shown, err)
}
