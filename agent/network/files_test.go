//go:build linux

package network

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"linwin/agent/wire"
)

func TestFilesOfNoNetwork(t *testing.T) {
	if got := hosts("box", nil, nil); got != "127.0.0.1 localhost\n::1 localhost\n" {
		t.Errorf("hosts is %q", got)
	}
	if got := resolver(nil, nil); got != "options ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
}

func TestFilesOfSeveralInterfaces(t *testing.T) {
	parsed := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	plans := []plan{
		{
			addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("fd00::2/64")},
			servers:   parsed("10.0.0.1", "fd00::1"), search: []string{"one.test", "both.test"},
		},
		{
			addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")},
			servers:   parsed("10.0.0.1", "10.1.0.1", "10.1.0.9"), search: []string{"both.test", "two.test"},
		},
	}
	want := "127.0.0.1 localhost\n::1 localhost\n10.0.0.2 box\nfd00::2 box\n10.1.0.2 box\n"
	if got := hosts("box", nil, plans); got != want {
		t.Errorf("hosts is %q", got)
	}
	groups := servers(plans)
	if got := fmt.Sprint(groups); got != "[[10.0.0.1 fd00::1] [10.1.0.1 10.1.0.9]]" {
		t.Errorf("the servers are %v", got)
	}
	want = "nameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.1.0.1\n" +
		"search one.test both.test two.test\noptions ndots:0\n"
	if got := resolver(slices.Concat(groups...), plans); got != want {
		t.Errorf("resolv.conf is %q", got)
	}
}

func TestNamesThatAGuestIsGiven(t *testing.T) {
	given, err := parseHosts([]wire.HostName{{Name: "db.example", Address: "10.0.0.7"}, {Name: "v6", Address: "fd00::7"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "127.0.0.1 localhost\n::1 localhost\n10.0.0.7 db.example\nfd00::7 v6\n"
	if got := hosts("box", given, nil); got != want {
		t.Errorf("%q", got)
	}
	for _, wrong := range []wire.HostName{
		{Name: "db", Address: "10.0.0"}, {Name: "db", Address: "fe80::1%eth0"}, {Name: "", Address: "10.0.0.7"},
		{Name: "a b", Address: "10.0.0.7"}, {Name: "a\n10.0.0.8 b", Address: "10.0.0.7"},
	} {
		if _, err := parseHosts([]wire.HostName{wrong}); err == nil {
			t.Errorf("%+v was taken", wrong)
		}
	}
	if _, err := parseHosts(make([]wire.HostName, mostHosts+1)); err == nil {
		t.Error("there is no end to them")
	}
}
