package registry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const head = "WINE REGISTRY Version 2\n;; All keys relative to REGISTRY\\\\Machine\n\n#arch=win64\n\n"

// file is a registry file with the given keys, their times left out.
func file(keys ...string) []byte { return []byte(head + strings.Join(keys, "\n\n") + "\n") }

func timed(path, body string) string {
	return fmt.Sprintf("[%s] 1735689600\n#time=1db5be019ba4000\n%s", path, body)
}

var odd = strings.Join([]string{
	`@="of no name"`,
	`"nothing"=hex(0):`,
	`"none"=hex(0):61,00`,
	`"binary"=hex:00,01,\`, `  02,fe,ff`,
	`"empty"=hex:`,
	`"text"=""`,
	`"unterminated"=hex(1):61,00`,
	`"expand"=str(2):"%SystemRoot%\\x"`,
	`"many"=str(7):"a\0b\0"`,
	`"number"=dword:00c0ffee`,
	`"big"=hex(5):00,00,00,01`,
	`"long"=hex(b):01,00,00,00,00,00,00,00`,
	`"unusual"=hex(deadbeef):01`,
	`"a\"b\\c\n\0\001d\x41\xd83d\x0061"="\x20ac\xdc00\e"`,
}, "\n")

func TestDecode(t *testing.T) {
	k := key{body: []byte(odd)}
	read, err := k.content()
	if err != nil {
		t.Fatal(err)
	}
	utf16 := func(units ...uint16) (data []byte) {
		for _, unit := range units {
			data = binary.LittleEndian.AppendUint16(data, unit)
		}
		return data
	}
	want := []struct {
		name Text
		kind uint32
		data []byte
	}{
		{"", 1, []byte(ascii("of no name\x00"))},
		{ascii("nothing"), 0, []byte{}},
		{ascii("none"), 0, []byte("a\x00")},
		{ascii("binary"), 3, []byte("\x00\x01\x02\xfe\xff")},
		{ascii("empty"), 3, []byte{}},
		{ascii("text"), 1, []byte("\x00\x00")},
		{ascii("unterminated"), 1, []byte("a\x00")},
		{ascii("expand"), 2, []byte(ascii("%SystemRoot%\\x\x00"))},
		{ascii("many"), 7, []byte(ascii("a\x00b\x00\x00"))},
		{ascii("number"), 4, []byte("\xee\xff\xc0\x00")},
		{ascii("big"), 5, []byte("\x00\x00\x00\x01")},
		{ascii("long"), 11, []byte("\x01\x00\x00\x00\x00\x00\x00\x00")},
		{ascii("unusual"), 0xdeadbeef, []byte("\x01")},
		{ascii("a\"b\\c\n\x00\x01dA") + Text(utf16(0xd83d)) + ascii("a"), 1, utf16(0x20ac, 0xdc00, 27, 0)},
	}
	if len(read.values) != len(want) {
		t.Fatalf("%d values", len(read.values))
	}
	for i, w := range want {
		kind, data, err := read.values[i].decode()
		if err != nil || read.values[i].name != w.name || kind != w.kind || !bytes.Equal(data, w.data) {
			t.Errorf("%s: %d %x %v", read.values[i].name, kind, data, err)
		}
	}
}

func TestMalformed(t *testing.T) {
	base, err := ReadBase(file(timed("A", `"v"="x"`)))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"another signature": strings.Replace(string(file()), "Version 2", "Version 3", 1),
		"no root":           "WINE REGISTRY Version 2\n\n#arch=win64\n\n",
		"another root":      strings.Replace(string(file()), "Machine", "User", 1),
		"another arch":      strings.Replace(string(file()), "win64", "win32", 1),
		"an open key":       string(file("[B")),
		"an empty name":     string(file(timed(`B\\\\C`, ""))),
		"no name":           string(file(timed(``, ""))),
		"a separator first": string(file(timed(`\\B`, ""))),
		"an odd escape":     string(file(timed(`B\q`, ""))),
		"half an escape":    string(file(timed(`B\`, ""))),
		"no digits":         string(file(timed(`B\x`, ""))),
		"not ASCII":         string(file(timed("B\xe4", ""))),
		"a tab":             string(file(timed("B", "\"v\t\"=\"\""))),
		"an option":         string(file(timed("B", "#volatile"))),
		"two classes":       string(file(timed("B", "#class=\"a\"\n#class=\"b\""))),
		"an open class":     string(file(timed("B", "#class=\"a"))),
		"a word":            string(file(timed("B", "word"))),
		"an open string":    string(file(timed("B", `"v"="x`))),
		"more than text":    string(file(timed("B", `"v"="x"y`))),
		"no equals":         string(file(timed("B", `"v""x"`))),
		"no data":           string(file(timed("B", `"v"=`))),
		"a bad number":      string(file(timed("B", `"v"=dword:123456789`))),
		"no number":         string(file(timed("B", `"v"=dword:`))),
		"a bad type":        string(file(timed("B", `"v"=hex(x):00`))),
		"an open type":      string(file(timed("B", `"v"=hex(1:00`))),
		"a type alone":      string(file(timed("B", `"v"=hex(1)00`))),
		"one digit":         string(file(timed("B", `"v"=hex:0`))),
		"no comma":          string(file(timed("B", `"v"=hex:0000`))),
		"a comma more":      string(file(timed("B", `"v"=hex:00,`))),
		"a line more":       string(file(timed("B", "\"v\"=hex:00,\\\n"))),
		"a value twice":     string(file(timed("B", "\"v\"=\"\"\n\"V\"=\"\""))),
		"a gap":             string(file(timed("B", "\"v\"=\"\"\n\n\"w\"=\"\""))),
		"a key twice":       string(file(timed("A", ""), timed("a", ""))),
		"a new key twice":   string(file(timed("B", ""), timed("b", ""))),
		"a long path":       string(file(timed(strings.Repeat("b", maxPath/2+1), ""))),
		"a deep path":       string(file(timed("A"+strings.Repeat(`\\b`, maxDepth), ""))),
		"a link to nothing": string(file(timed("B", "#link\n\"SymbolicLinkValue\"=\"x\""))),
	} {
		h, err := Read([]byte(text))
		if err == nil {
			_, err = Changes(base, h)
		}
		if err == nil {
			t.Errorf("%s is taken", name)
		} else if !strings.HasPrefix(err.Error(), "the registry file is not as Wine writes it: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(make([]byte, MaxSize+1)); err == nil {
		t.Error("any size is taken")
	}
}

func TestChanges(t *testing.T) {
	link := "#link\n\"SymbolicLinkValue\"=hex(6):5c,00,52,00"
	full := file(timed("A", odd), timed(`A\\B`, `"v"="x"`), timed(`A\\B\\C`, ""), timed(`L`, link), timed(`Z\\Y\\X`, `@="d"`))
	for name, one := range map[string]struct {
		from, to []byte
		count    int
	}{
		"nothing":            {full, full, 0},
		"times only":         {full, bytes.ReplaceAll(full, []byte("1db5"), []byte("1db6")), 0},
		"no end of line":     {full, bytes.TrimRight(full, "\n"), 0},
		"from nothing":       {file(), full, 21},
		"to nothing":         {full, file(), 7},
		"another order":      {file(timed("A", ""), timed("B", ""), timed("C", "")), file(timed("C", ""), timed("A", ""), timed("B", `"v"=""`)), 1},
		"another case":       {file(timed("A", `"v"=""`)), file(timed("a", `"V"=""`)), 0},
		"beyond ASCII":       {file(timed(`\xe4`, `"v"=""`)), file(timed(`\xc4`, `"v"=""`)), 3},
		"values":             {file(timed("A", "\"a\"=\"\"\n\"b\"=\"\"")), file(timed("A", "\"b\"=dword:00000001\n\"c\"=\"\"")), 3},
		"a key in between":   {file(timed(`A\\B`, "")), file(timed("A", `"v"=""`), timed(`A\\B`, "")), 1},
		"none in between":    {file(timed("A", `"v"=""`), timed(`A\\B`, "")), file(timed(`A\\B`, "")), 1},
		"a branch goes":      {file(timed(`A\\B\\C\\D`, ""), timed(`A\\E`, "")), file(timed(`A\\E`, "")), 3},
		"a leaf goes":        {file(timed(`A\\B`, `"v"=""`), timed(`A\\B\\C`, "")), file(timed(`A\\B`, `"v"=""`)), 1},
		"the same class":     {file(timed("A", `#class="of \"A\""`)), file(timed("A", "#class=\"of \\\"A\\\"\"\n@=\"\"")), 1},
		"a link":             {file(timed("A", "")), file(timed("A", ""), timed(`B\\L`, link)), 1},
		"a link goes":        {file(timed("A", ""), timed("L", link)), file(timed("A", "")), 1},
		"a child made first": {file(), file(timed(`A\\B`, ""), timed(`A`, `@=""`)), 3},
	} {
		t.Run(name, func(t *testing.T) {
			if changes := checkChanges(t, one.from, one.to); len(changes) != one.count {
				t.Errorf("%d changes: %v", len(changes), changes)
			}
		})
	}
}

func TestNotInPlace(t *testing.T) {
	link := "#link\n\"SymbolicLinkValue\"=hex(6):5c,00"
	for name, files := range map[string][2][]byte{
		"a new class":          {file(), file(timed("A", `#class="a"`))},
		"a class changes":      {file(timed("A", `#class="a"`)), file(timed("A", `#class="b"`))},
		"a class of a parent":  {file(timed(`A\\B`, "")), file(timed("A", `#class="a"`), timed(`A\\B`, ""))},
		"a class goes":         {file(timed("A", `#class="a"`), timed(`A\\B`, "")), file(timed(`A\\B`, ""))},
		"a link changes":       {file(timed("L", link)), file(timed("L", link+",41,00"))},
		"a link from a key":    {file(timed("L", "")), file(timed("L", link))},
		"a link from a parent": {file(timed(`L\\K`, "")), file(timed("L", link), timed(`L\\K`, ""))},
		"below an old link":    {file(timed("L", link)), file(timed("L", link), timed(`L\\K`, ""))},
		"below a new link":     {file(), file(timed(`l\\K\\V`, ""), timed("L", link))},
		"a link with a class":  {file(), file(timed("L", "#class=\"a\"\n"+link))},
		"a link with values":   {file(), file(timed("L", link+"\n\"v\"=\"\""))},
	} {
		base, err := ReadBase(files[0])
		if err != nil {
			t.Fatal(err)
		}
		h, err := Read(files[1])
		if err != nil {
			t.Fatal(err)
		}
		if changes, err := Changes(base, h); !errors.Is(err, ErrNotInPlace) {
			t.Errorf("%s: %v, %v", name, changes, err)
		}
	}
}

func TestEncode(t *testing.T) {
	changes := []Change{
		{Op: SetValue, Key: ascii("K"), Name: ascii("n"), Type: 3, Data: []byte{1, 2, 3}},
		{Op: DeleteKey, Key: ascii("AB")},
	}
	want := []byte("\x04\x00\x00\x00\x03\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00K\x00n\x00\x01\x02\x03\x00" +
		"\x03\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00A\x00B\x00")
	if got := Encode(changes); !bytes.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestPlaces(t *testing.T) {
	own := Places{}
	own.AddValue(`\REGISTRY\Machine\a`, "X")
	own.Add([]Change{{Op: CreateKey, Key: ascii(`\registry\machine\B`)}})
	for _, one := range []struct {
		change Change
		own    bool
	}{
		{Change{Op: SetValue, Key: ascii(`\Registry\Machine\A`), Name: ascii("x")}, true},
		{Change{Op: DeleteValue, Key: ascii(`\Registry\Machine\A`), Name: ascii("x")}, true},
		{Change{Op: SetValue, Key: ascii(`\Registry\Machine\A`)}, false},
		{Change{Op: DeleteKey, Key: ascii(`\Registry\Machine\A`)}, false},
		{Change{Op: CreateKey, Key: ascii(`\Registry\Machine\B`)}, true},
		{Change{Op: SetValue, Key: ascii(`\Registry\Machine\B`)}, false},
	} {
		if left := own.Without([]Change{one.change}); (len(left) == 0) != one.own {
			t.Errorf("%v: %v", one.change, left)
		}
	}
	change := Change{Op: SetValue, Key: ascii(`\Registry\Machine\A\B`)}
	if !change.Below(`\registry\machine\a`) || !change.Below(`\Registry\Machine\A\b`) || change.Below(`\Registry\Machine\A\B\C`) ||
		change.Below(`\Registry\Mach`) || change.Of(`\Registry\Machine\A`) || change.Parent() != `\registry\machine\a` {
		t.Error(change)
	}
}

// FuzzRead reads anything without a panic.
func FuzzRead(f *testing.F) {
	f.Add([]byte(head))
	f.Add(file(timed("A", odd), timed(`A\\B`, `#class="c"`), timed("L", "#link\n\"SymbolicLinkValue\"=hex(6):5c,00")))
	f.Add(file(timed("A\\", `"v"=hex:00,\`), "[]", timed("B", "@=\"\\x")))
	base, err := ReadBase(file(timed("A", odd), timed(`C\\D`, `"v"=""`)))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := Read(text)
		if err != nil {
			return
		}
		if changes, err := Changes(base, h); err == nil {
			was := modelOf(t, base.Hive)
			for _, change := range changes {
				if err := was.change(change); err != nil {
					t.Fatalf("%v: %v", change, err)
				}
			}
		}
	})
}

// FuzzChanges makes two registries of few names and tries the way from one to the other.
func FuzzChanges(f *testing.F) {
	f.Add([]byte("\x00\x10\x21\x32"), []byte("\x01\x11\x22\x33\x44"))
	f.Add([]byte("\x0a\x4b\x8c\xcd"), []byte{})
	f.Add([]byte("\xff\x81\x42\x18"), []byte("\xf0\x18\x42\x81"))
	f.Fuzz(func(t *testing.T, from, to []byte) { checkChanges(t, small(from), small(to)) })
}

// small makes a registry of bytes: for each a key at one of 40 paths, with one of six bodies.
func small(seed []byte) []byte {
	names := []string{"a", `a\\b`, `b`, `b\\a`, `a\\b\\c`, `B\\c`, `c\\c\\c`, `c`}
	bodies := []string{"", `"v"=""`, `"v"="x"`, "\"v\"=\"\"\n\"w\"=hex:00", `@=dword:00000000`, `"W"=hex:00`}
	var keys []string
	used := map[string]bool{}
	for _, b := range seed {
		name := names[int(b)%len(names)] + []string{"", `\\d`, `\\e`, `\\d\\e`, `2`}[int(b)/8%5]
		if !used[strings.ToLower(name)] {
			used[strings.ToLower(name)] = true
			keys = append(keys, timed(name, bodies[int(b)/40%len(bodies)]))
		}
	}
	return file(keys...)
}
