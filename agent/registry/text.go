package registry

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Text is a string of Windows: UTF-16LE, of any units, in a Go string's bytes.
type Text string

const (
	separator = Text("\\\x00")
	nul       = Text("\x00\x00")
)

// ascii makes a Text of a string that is known to be ASCII.
func ascii(s string) Text {
	var units strings.Builder
	for i := range len(s) {
		units.WriteByte(s[i])
		units.WriteByte(0)
	}
	return Text(units.String())
}

// fold makes names equal that differ in the case of ASCII letters only. Others
// that Windows takes for equal count as different: then one is deleted before the
// other is made, which comes to the same.
func (t Text) fold() Text {
	folded := []byte(t)
	for i := 0; i+1 < len(folded); i += 2 {
		if folded[i+1] == 0 && 'A' <= folded[i] && folded[i] <= 'Z' {
			folded[i] += 'a' - 'A'
		}
	}
	return Text(folded)
}

// parent is what lies before the last separator; ok is false for a key at the root.
func (t Text) parent() (parent Text, ok bool) {
	for i := len(t) - 2; i >= 0; i -= 2 {
		if t[i:i+2] == separator {
			return t[:i], true
		}
	}
	return "", false
}

// depth counts the keys above.
func (t Text) depth() int {
	depth := 0
	for above, ok := t.parent(); ok; above, ok = above.parent() {
		depth++
	}
	return depth
}

// String shows a text to people.
func (t Text) String() string {
	var shown strings.Builder
	for i := 0; i+1 < len(t); i += 2 {
		unit := rune(binary.LittleEndian.Uint16([]byte(t[i : i+2])))
		if !utf8.ValidRune(unit) || unit < ' ' {
			unit = utf8.RuneError
		}
		shown.WriteRune(unit)
	}
	return shown.String()
}

var letters = map[byte]uint16{'a': 7, 'b': 8, 't': 9, 'n': 10, 'v': 11, 'f': 12, 'r': 13, 'e': 27}

// unescape reads what Wine wrote (dump_strW of its server/unicode.c): ASCII, in
// which a backslash precedes a character that stands for itself, a letter, up to
// three octal digits, or x and up to four hexadecimal ones.
func unescape(raw []byte) (Text, error) {
	units := make([]byte, 0, 2*len(raw))
	for i := 0; i < len(raw); {
		unit := uint16(raw[i])
		switch {
		case unit < ' ' || unit > 0x7f:
			return "", malformed("the byte %#x is in a string", unit)
		case unit != '\\':
			i++
		default:
			var size int
			var ok bool
			if unit, size, ok = unescapeOne(raw[i+1:]); !ok {
				return "", malformed("%.10q is no escape", raw[i:])
			}
			i += 1 + size
		}
		units = binary.LittleEndian.AppendUint16(units, unit)
	}
	return Text(units), nil
}

// unescapeOne reads what follows a backslash, and how much of it there is.
func unescapeOne(raw []byte) (unit uint16, size int, ok bool) {
	if len(raw) == 0 {
		return 0, 0, false
	}
	if raw[0] == 'x' {
		unit, size = digits(raw[1:], 16, 4)
		return unit, 1 + size, size > 0
	}
	if unit, size = digits(raw, 8, 3); size > 0 {
		return unit, size, true
	}
	if unit, ok = letters[raw[0]]; ok {
		return unit, 1, true
	}
	return uint16(raw[0]), 1, strings.IndexByte(`\[]"`, raw[0]) >= 0
}

// digits reads at most a number of digits, and says how many there were.
func digits(raw []byte, base, most int) (value uint16, size int) {
	for size < min(most, len(raw)) {
		digit := hexDigit(raw[size])
		if digit < 0 || digit >= base {
			break
		}
		value = value*uint16(base) + uint16(digit)
		size++
	}
	return value, size
}

// hexDigit is what a digit stands for, -1 for none.
func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
