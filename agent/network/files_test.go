//go:build linux

package network

import (
	"net/netip"
	"testing"
)

func TestFilesOfNoNetwork(t *testing.T) {
	if got := hosts("box", nil); got != "127.0.0.1 localhost\n::1 localhost\n" {
		t.Errorf("hosts is %q", got)
	}
	if got := resolver(nil); got != "options ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
}

func TestFilesOfSeveralInterfaces(t *testing.T) {
	servers := func(texts ...string) (parsed []netip.Addr) {
		for _, text := range texts {
			parsed = append(parsed, netip.MustParseAddr(text))
		}
		return parsed
	}
	plans := []plan{
		{
			addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
			servers:   servers("10.0.0.1", "fd00::1"), search: []string{"one.test", "both.test"},
		},
		{
			addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")},
			servers:   servers("10.0.0.1", "10.1.0.1", "10.1.0.9"), search: []string{"both.test", "two.test"},
		},
	}
	want := "127.0.0.1 localhost\n::1 localhost\n10.0.0.2 box\nfd00::2 box\n10.1.0.2 box\n"
	if got := hosts("box", plans); got != want {
		t.Errorf("hosts is %q", got)
	}
	want = "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.1.0.1\n" +
		"search one.test both.test two.test\noptions ndots:0\n"
	if got := resolver(plans); got != want {
		t.Errorf("resolv.conf is %q", got)
	}
}
