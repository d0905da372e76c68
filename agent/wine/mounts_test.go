//go:build linux

package wine

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"linwin/agent/wire"
)

func TestTargetsOfMounts(t *testing.T) {
	for target, want := range map[string]place{
		`C:\src`:         {'c', []string{"src"}},
		`c:\a b\Ünicode`: {'c', []string{"a b", "Ünicode"}},
		`D:\`:            {'d', nil},
		`Z:\x`:           {'z', []string{"x"}},
	} {
		if got, err := parseTarget(target); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %v, %v", target, got, err)
		}
	}
	for target, want := range map[string]string{
		``:             `"" is no place for a mount`,
		`C:`:           `"C:" is no place for a mount`,
		`C:/src`:       `"C:/src" is no place for a mount`,
		`src`:          `"src" is no place for a mount`,
		`C:\`:          `nothing can be mounted on C: itself`,
		`C:\a\\b`:      `"C:\\a\\\\b" is no place for a mount`,
		`C:\a\..\b`:    `"C:\\a\\..\\b" is no place for a mount`,
		`C:\a/../../b`: `"C:\\a/../../b" is no place for a mount`,
		`1:\x`:         `nothing can be mounted on the drive of "1:\\x"`,
	} {
		if _, err := parseTarget(target); err == nil || err.Error() != want {
			t.Errorf("%q: %v", target, err)
		}
	}
}

func TestMountsOfShares(t *testing.T) {
	m := wire.Mount{Server: "172.20.0.1", Share: "ro", User: "0123456789ab-0", Password: "secret", ReadOnly: true}
	device, kind, flags, options, err := system(m)
	if err != nil || device != "//172.20.0.1/ro" || kind != "cifs" || flags&1 == 0 {
		t.Errorf("%s %s %#x %v", device, kind, flags, err)
	}
	want := "ip=172.20.0.1,user=0123456789ab-0,pass=secret,vers=3.1.1,sec=ntlmssp,sign,hard,noperm," +
		"uid=0,gid=0,file_mode=0755,dir_mode=0755,iocharset=utf8,nocase,nouser_xattr,actimeo=1"
	if options != want {
		t.Errorf("options are %s", options)
	}
	for _, bad := range []wire.Mount{
		{Server: "host", Share: "rw", User: "u", Password: "p"},
		{Server: "10.0.0.1", Share: "rw,uid=1", User: "u", Password: "p"},
		{Server: "10.0.0.1", Share: "rw", User: "u,guest", Password: "p"},
		{Server: "10.0.0.1", Share: "rw", User: "u", Password: ""},
		{Size: -1},
	} {
		if _, _, _, _, err := system(bad); err == nil || kindOf(err) != wire.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestMountsOfMemory(t *testing.T) {
	for size, want := range map[int64]string{0: "size=50%,mode=0777", 1 << 20: "size=1048576,mode=0777"} {
		_, kind, flags, options, err := system(wire.Mount{Size: size})
		if err != nil || kind != "tmpfs" || flags&1 != 0 || options != want {
			t.Errorf("%d: %s %#x %s %v", size, kind, flags, options, err)
		}
	}
}

func TestAFileIsFoundInAnyCaseOrMade(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "Nuget.Config"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := fileIn(folder, "NUGET.config"); err != nil || filepath.Base(got) != "Nuget.Config" {
		t.Errorf("%s, %v", got, err)
	}
	made, err := fileIn(folder, "new.txt")
	if content, readErr := os.ReadFile(made); err != nil || readErr != nil || len(content) != 0 {
		t.Errorf("%q, %v, %v", content, err, readErr)
	}
	if kept, err := os.ReadFile(filepath.Join(folder, "Nuget.Config")); err != nil || string(kept) != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
}
