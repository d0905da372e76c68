//go:build linux

package wine

import (
	"os"
	"slices"
	"testing"
)

func TestFindAccount(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":                                    "ContainerAdministrator",
		"containeruser":                       "ContainerUser",
		"CONTAINERADMINISTRATOR":              "ContainerAdministrator",
		`User Manager\ContainerAdministrator`: "ContainerAdministrator",
		`.\ContainerUser`:                     "ContainerUser",
		host + `\ContainerUser`:               "ContainerUser",
		`NT AUTHORITY\SYSTEM`:                 "SYSTEM",
		`nt authority\system`:                 "SYSTEM",
		"System":                              "SYSTEM",
	} {
		a, err := findAccount(name)
		if err != nil || a.name != want {
			t.Errorf("findAccount(%q) is %v, %v", name, a, err)
		}
	}
	for _, name := range []string{"bob", `elsewhere\ContainerUser`, `.\SYSTEM`, `User Manager\`, `\ContainerUser`, "400:401"} {
		if a, err := findAccount(name); err == nil {
			t.Errorf("findAccount(%q) is %v", name, a)
		}
	}
	_, err = findAccount("bob")
	want := "failure in a Windows system call: The user name or password is incorrect. (0x52e): " +
		`a wine guest has the users ContainerAdministrator, ContainerUser and NT AUTHORITY\SYSTEM, not "bob"`
	if err == nil || err.Error() != want {
		t.Errorf("findUser: %v", err)
	}
}

func TestWineIsToldTheUser(t *testing.T) {
	if environment := accounts[1].environment(); !slices.Contains(environment, "USER=ContainerUser") {
		t.Error(environment)
	}
	if slices.ContainsFunc(environment(), func(s string) bool { return s == "USER=ContainerUser" }) {
		t.Error("the agent's own environment changed")
	}
}
