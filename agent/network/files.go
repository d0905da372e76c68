//go:build linux

package network

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The files that the root disk's /etc links to, in /run/linwin.
const (
	hostsFile    = "hosts"
	resolverFile = "resolv.conf"
	// glibcServers is MAXNS: more than three are ignored.
	glibcServers = 3
)

// hosts is the text of /etc/hosts: the guest's own names and those it was given, as docker
// writes them.
func hosts(hostname string, given []host, plans []plan) string {
	text := "127.0.0.1 localhost\n::1 localhost\n"
	for _, h := range given {
		text += fmt.Sprintf("%s %s\n", h.address, h.name)
	}
	for _, p := range plans {
		for _, address := range p.addresses {
			text += fmt.Sprintf("%s %s\n", address.Addr(), hostname)
		}
	}
	return text
}

// servers are the name servers of each interface that has some of its own, in the
// order they came.
func servers(plans []plan) (groups [][]netip.Addr) {
	var known []netip.Addr
	for _, p := range plans {
		if own := missing(known, p.servers); len(own) > 0 {
			groups, known = append(groups, own), append(known, own...)
		}
	}
	return groups
}

// resolver is the text of /etc/resolv.conf. A name of one word is a container's, and
// asked for as it is first.
func resolver(servers []netip.Addr, plans []plan) string {
	var search []string
	for _, p := range plans {
		search = append(search, missing(search, p.search)...)
	}
	text := ""
	for _, server := range servers[:min(len(servers), glibcServers)] {
		text += fmt.Sprintf("nameserver %s\n", server)
	}
	if len(search) > 0 {
		text += fmt.Sprintf("search %s\n", strings.Join(search, " "))
	}
	return text + "options ndots:0\n"
}

// missing are the values that are not known yet.
func missing[T comparable](known, values []T) []T {
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool { return slices.Contains(known, v) })
}

// replace writes a file so that its readers see the old text or the new one. It is
// in memory, and needs no sync.
func replace(folder, name, text string) error {
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
