//go:build linux

package wine

import (
	"os"
	"strings"

	"linwin/agent/program"
)

// account is a user that Windows programs believe they run as. All are one to Wine,
// whose name for it is that of the Unix user.
type account struct{ name, domain string }

const (
	containerDomain = "User Manager"
	systemDomain    = "NT AUTHORITY"
)

// The accounts of a wine guest, the default first.
var accounts = []account{
	{"ContainerAdministrator", containerDomain},
	{"ContainerUser", containerDomain},
	{"SYSTEM", systemDomain},
}

// findAccount finds a user as Windows does: in any case, and with or without the
// domain, which may be the computer's name or a dot.
func findAccount(name string) (account, error) {
	if name == "" {
		return accounts[0], nil
	}
	domain, short, qualified := strings.Cut(name, `\`)
	if !qualified {
		domain, short = "", name
	}
	for _, a := range accounts {
		if strings.EqualFold(a.name, short) && (!qualified || a.in(domain)) {
			return a, nil
		}
	}
	return account{}, program.UserError(name, "a wine guest has the users ContainerAdministrator, ContainerUser and NT AUTHORITY\\SYSTEM")
}

func (a account) in(domain string) bool {
	if strings.EqualFold(a.domain, domain) {
		return true
	}
	return a.domain == containerDomain && (domain == "." || isHost(domain))
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
func (a account) environment() []string { return append(environment(), "USER="+a.name) }
