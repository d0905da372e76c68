// Package registry reads the files in which Wine keeps its registry, and says
// what makes one registry another.
//
// The format is "WINE REGISTRY Version 2", as Wine's server/registry.c writes it:
// a header, then the keys that have values, a class or nothing below them, each
// with a line for every value. Security descriptors and volatile keys are not in
// it. A file is an untrusted container's, so what is not as Wine writes it is an
// error, with one exception: a key whose text is the same in both files is not
// looked into.
package registry

import (
	"bytes"
	"fmt"
)

const (
	// MaxSize bounds a file, in bytes. The template's is 1.2 MB.
	MaxSize   = 32 << 20
	maxPath   = 60_000 // bytes of UTF-16: a UNICODE_STRING holds 65,534
	maxDepth  = 512    // Windows' own
	signature = "WINE REGISTRY Version 2\n"
	relative  = ";; All keys relative to "
)

func malformed(format string, arguments ...any) error {
	return fmt.Errorf("the registry file is not as Wine writes it: "+format, arguments...)
}

// key is a key as it is written, its time left out.
type key struct {
	path []byte // escaped
	body []byte // options and values
}

// Hive is one registry file.
type Hive struct {
	root Text // where in the registry its keys are, as \Registry\Machine
	head []byte
	keys []key
}

// Read splits a file into its keys and looks into none of them.
func Read(text []byte) (*Hive, error) {
	if len(text) > MaxSize {
		return nil, malformed("it has %d bytes", len(text))
	}
	text = append(text[:len(text):len(text)], '\n') // of a last line that was cut
	end := nextKey(text)
	h := &Hive{head: bytes.TrimRight(text[:end], "\n")}
	if err := h.readHead(); err != nil {
		return nil, err
	}
	for rest := text[end:]; len(rest) > 0; {
		end := nextKey(rest)
		one, err := readKey(rest[:end])
		if err != nil {
			return nil, err
		}
		h.keys = append(h.keys, one)
		rest = rest[end:]
	}
	return h, nil
}

// nextKey is where the next key begins that is not at the very beginning.
func nextKey(text []byte) int {
	if at := bytes.Index(text, []byte("\n[")); at >= 0 {
		return at + 1
	}
	return len(text)
}

func (h *Hive) readHead() error {
	rest, ok := bytes.CutPrefix(h.head, []byte(signature))
	if !ok {
		return malformed("it has no signature")
	}
	rest, ok = bytes.CutPrefix(rest, []byte(relative))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if !ok || len(line) == 0 {
		return malformed("it does not say where its keys belong")
	}
	path, err := unescape(line)
	h.root = separator + path
	return err
}

func readKey(text []byte) (key, error) {
	line, body, _ := bytes.Cut(text, []byte("\n"))
	end := bytes.LastIndexByte(line, ']')
	if end < 0 || len(bytes.Trim(line[end+1:], " 0123456789")) > 0 {
		return key{}, malformed("%.40q begins no key", line)
	}
	if bytes.HasPrefix(body, []byte("#time=")) {
		_, body, _ = bytes.Cut(body, []byte("\n"))
	}
	return key{line[1:end], bytes.TrimRight(body, "\n")}, nil
}

// name is the key's path from the file's root.
func (k key) name() (Text, error) {
	path, err := unescape(k.path)
	switch {
	case err != nil:
		return "", err
	case len(path) > maxPath || path.depth() >= maxDepth:
		return "", malformed("%.40q is too long", k.path)
	case path == "" || (separator + path + separator).hasEmptyName():
		return "", malformed("%.40q has an empty name", k.path)
	}
	return path, nil
}

func (t Text) hasEmptyName() bool {
	for i := 0; i+4 <= len(t); i += 2 {
		if t[i:i+4] == separator+separator {
			return true
		}
	}
	return false
}
