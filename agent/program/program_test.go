package program

import "testing"

func TestAbsolute(t *testing.T) {
	for folder, want := range map[string]bool{
		`C:\`: true, "c:/work": true, `\work`: true, "/work": true, `\\server\share`: true,
		"work": false, "C:": false, "C:work": false, "": false, "..": false, `CD:\work`: false,
	} {
		if absolute(folder) != want {
			t.Errorf("absolute(%q) is %v", folder, !want)
		}
	}
}

func TestName(t *testing.T) {
	for line, want := range map[string]string{
		`cmd /c ver`:           "cmd",
		` node  -p 1`:          "node",
		`"C:\a b\x.exe" one`:   `C:\a b\x.exe`,
		`"unclosed quote here`: "unclosed quote here",
	} {
		if got := Name(line); got != want {
			t.Errorf("Name(%q) is %q, want %q", line, got, want)
		}
	}
}
