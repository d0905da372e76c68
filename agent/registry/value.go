package registry

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Types of values (winnt.h) that the format writes in a way of their own.
const (
	regSZ     = 1
	regBinary = 3
	regDWORD  = 4
	regLink   = 6
)

const linkValue = "SymbolicLinkValue"

// value is one value of a key. Two are the same if raw is.
type value struct {
	name Text
	raw  []byte // its data as written
}

// content is what a key's text says of it.
type content struct {
	class  Text
	link   bool
	values []value
	byName map[Text]int // folded
}

// content looks into a key.
func (k key) content() (*content, error) {
	c := &content{byName: map[Text]int{}}
	for rest := k.body; len(rest) > 0; {
		line := rest[:logicalLine(rest)]
		rest = bytes.TrimPrefix(rest[len(line):], []byte("\n"))
		var err error
		switch {
		case len(line) == 0:
			err = malformed("a key has an empty line")
		case line[0] == '#':
			err = c.readOption(line)
		default:
			err = c.readValue(line)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// logicalLine is the length of a line that goes on after each backslash at an end.
func logicalLine(text []byte) int {
	for at := 0; ; at++ {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return len(text)
		}
		at += end
		if at == 0 || text[at-1] != '\\' {
			return at
		}
	}
}

func (c *content) readOption(line []byte) error {
	if string(line) == "#link" {
		c.link = true
		return nil
	}
	class, ok := bytes.CutPrefix(line, []byte("#class="))
	if !ok || c.class != "" {
		return malformed("%.40q is said of a key", line)
	}
	text, rest, err := quoted(class)
	if err == nil && len(rest) > 0 {
		err = malformed("%.40q follows a class", rest)
	}
	c.class = text
	return err
}

func (c *content) readValue(line []byte) error {
	var name Text
	rest, unnamed := bytes.CutPrefix(line, []byte("@"))
	if !unnamed {
		var err error
		if name, rest, err = quoted(line); err != nil {
			return err
		}
	}
	raw, ok := bytes.CutPrefix(rest, []byte("="))
	if !ok || len(name) > maxPath {
		return malformed("%.40q is no value", line)
	}
	folded := name.fold()
	if _, twice := c.byName[folded]; twice {
		return malformed("the value %.40s is there twice", name)
	}
	c.byName[folded] = len(c.values)
	c.values = append(c.values, value{name, raw})
	return nil
}

// quoted reads a string in quotation marks, and returns what follows.
func quoted(raw []byte) (text Text, rest []byte, err error) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", nil, malformed("%.40q is no string", raw)
	}
	for i := 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			text, err = unescape(raw[1:i])
			return text, raw[i+1:], err
		}
	}
	return "", nil, malformed("the string %.40q has no end", raw)
}

// decode is a value's type and data.
func (v value) decode() (kind uint32, data []byte, err error) {
	word, rest, _ := bytes.Cut(v.raw, []byte(":"))
	switch string(word) {
	case "dword":
		number, err := strconv.ParseUint(string(rest), 16, 32)
		if err != nil {
			return 0, nil, malformed("%.40q is no number", rest)
		}
		return regDWORD, binary.LittleEndian.AppendUint32(nil, uint32(number)), nil
	case "hex":
		data, err = unhex(rest)
		return regBinary, data, err
	}
	if bytes.HasPrefix(v.raw, []byte(`"`)) {
		data, err = terminated(v.raw)
		return regSZ, data, err
	}
	kind, isText, err := typed(word)
	if err != nil {
		return 0, nil, err
	}
	if isText {
		data, err = terminated(rest)
	} else {
		data, err = unhex(rest)
	}
	return kind, data, err
}

// terminated reads a string, whose NUL at the end goes without saying.
func terminated(raw []byte) ([]byte, error) {
	text, rest, err := quoted(raw)
	if err == nil && len(rest) > 0 {
		err = malformed("%.40q follows a string", rest)
	}
	return []byte(text + nul), err
}

// typed reads hex(TYPE) and str(TYPE).
func typed(word []byte) (kind uint32, isText bool, err error) {
	number, isText := bytes.CutPrefix(word, []byte("str("))
	if !isText {
		number = bytes.TrimPrefix(word, []byte("hex("))
	}
	digits, closed := bytes.CutSuffix(number, []byte(")"))
	parsed, err := strconv.ParseUint(string(digits), 16, 32)
	if len(number) == len(word) || !closed || err != nil {
		return 0, false, malformed("%.40q is no type", word)
	}
	return uint32(parsed), isText, nil
}

// unhex reads bytes that commas separate, on lines that end in a backslash.
func unhex(raw []byte) ([]byte, error) {
	data := make([]byte, 0, len(raw)/3+1)
	for len(raw) > 0 {
		if len(data) > 0 {
			if raw[0] != ',' {
				return nil, malformed("%.40q is not binary data", raw)
			}
			raw = bytes.TrimPrefix(raw[1:], []byte("\\\n  "))
		}
		high, low := -1, -1
		if len(raw) >= 2 {
			high, low = hexDigit(raw[0]), hexDigit(raw[1])
		}
		if high < 0 || low < 0 {
			return nil, malformed("%.40q is not binary data", raw)
		}
		data = append(data, byte(high<<4|low))
		raw = raw[2:]
	}
	return data, nil
}
