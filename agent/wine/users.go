//go:build linux

package wine

import (
	"os"
	"strings"

	"linwin/agent/wire"
)

// user is one that Windows programs believe they run as. All are one to Wine,
// whose name for it is that of the Unix user.
type user struct{ name, domain string }

const (
	containerDomain = "User Manager"
	systemDomain    = "NT AUTHORITY"
)

// The users of a wine guest, the default first.
var users = []user{
	{"ContainerAdministrator", containerDomain},
	{"ContainerUser", containerDomain},
	{"SYSTEM", systemDomain},
}

// findUser finds a user as Windows does: in any case, and with or without the
// domain, which may be the computer's name or a dot.
func findUser(name string) (user, error) {
	if name == "" {
		return users[0], nil
	}
	domain, short, qualified := strings.Cut(name, `\`)
	if !qualified {
		domain, short = "", name
	}
	for _, u := range users {
		if strings.EqualFold(u.name, short) && (!qualified || u.in(domain)) {
			return u, nil
		}
	}
	return user{}, wire.Errorf(wire.Invalid, "failure in a Windows system call: The user name or password is incorrect. "+
		"(0x52e): a wine guest has the users ContainerAdministrator, ContainerUser and NT AUTHORITY\\SYSTEM, not %q", name)
}

func (u user) in(domain string) bool {
	if strings.EqualFold(u.domain, domain) {
		return true
	}
	return u.domain == containerDomain && (domain == "." || isHost(domain))
}

// isHost reports whether a domain is this computer's name, or its NetBIOS name.
func isHost(domain string) bool {
	const longestNetBIOS = 15
	host, err := os.Hostname()
	if err != nil {
		return false
	}
	host, _, _ = strings.Cut(host, ".")
	return strings.EqualFold(host, domain) || strings.EqualFold(host[:min(len(host), longestNetBIOS)], domain)
}

// environment is the Unix side's of the user's programs. Wine takes their user's
// name from there.
func (u user) environment() []string { return append(environment(), "USER="+u.name) }
