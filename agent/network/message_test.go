//go:build linux

package network

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

// TestMessagesAreThoseOfTheirFormat compares messages with bytes put together by hand
// from linux/netlink.h, if_link.h, if_addr.h and rtnetlink.h, on a little-endian machine.
func TestMessagesAreThoseOfTheirFormat(t *testing.T) {
	for _, c := range []struct {
		name    string
		message message
		want    string
	}{
		{
			"up", up(3, 1400),
			"28000000" + "1000" + "0500" + "07000000" + "00000000" + // 40 bytes, RTM_NEWLINK, request | ack
				"00000000" + "03000000" + "01000000" + "01000000" + // index 3, IFF_UP of IFF_UP
				"0800" + "0400" + "78050000", // IFLA_MTU
		},
		{
			"down", down(3),
			"20000000" + "1000" + "0500" + "07000000" + "00000000" +
				"00000000" + "03000000" + "00000000" + "01000000",
		},
		{
			"a MAC", setMAC(3, []byte{2, 0x42, 0xac, 0x1e, 7, 2}),
			"2c000000" + "1000" + "0500" + "07000000" + "00000000" +
				"00000000" + "03000000" + "00000000" + "00000000" +
				"0a00" + "0100" + "0242ac1e0702" + "0000", // IFLA_ADDRESS
		},
		{
			"IPv4 address", addAddress(3, netip.MustParsePrefix("172.30.7.2/20")),
			"30000000" + "1400" + "0505" + "07000000" + "00000000" + // RTM_NEWADDR, create | replace
				"02" + "14" + "00" + "00" + "03000000" + // AF_INET, /20
				"0800" + "0200" + "ac1e0702" + "0800" + "0100" + "ac1e0702" + // IFA_LOCAL, IFA_ADDRESS
				"0800" + "0400" + "ac1e0fff", // IFA_BROADCAST
		},
		{
			"one of two addresses", addAddress(3, netip.MustParsePrefix("10.0.0.2/31")),
			"28000000" + "1400" + "0505" + "07000000" + "00000000" +
				"02" + "1f" + "00" + "00" + "03000000" +
				"0800" + "0200" + "0a000002" + "0800" + "0100" + "0a000002", // nobody to broadcast to
		},
		{
			"IPv6 address", addAddress(3, netip.MustParsePrefix("fd00:7::2/64")),
			"40000000" + "1400" + "0505" + "07000000" + "00000000" +
				"0a" + "40" + "02" + "00" + "03000000" + // AF_INET6, /64, IFA_F_NODAD
				"1400" + "0200" + "fd000007000000000000000000000002" +
				"1400" + "0100" + "fd000007000000000000000000000002",
		},
		{
			"removal of an address", removeAddress(3, netip.MustParsePrefix("10.0.0.2/31")),
			"28000000" + "1500" + "0500" + "07000000" + "00000000" + // RTM_DELADDR
				"02" + "1f" + "00" + "00" + "03000000" +
				"0800" + "0200" + "0a000002" + "0800" + "0100" + "0a000002",
		},
		{
			"default route", defaultRoute(3, netip.MustParseAddr("172.30.7.1"), 103),
			"34000000" + "1800" + "0505" + "07000000" + "00000000" + // RTM_NEWROUTE
				"02" + "00" + "00" + "00" + "fe" + "04" + "00" + "01" + "00000000" + // main, static, universe, unicast
				"0800" + "0500" + "ac1e0701" + "0800" + "0400" + "03000000" + "0800" + "0600" + "67000000",
		},
	} {
		if got := hex.EncodeToString(c.message.encode(7)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestAttributesAreAligned(t *testing.T) {
	var m message
	m.add(3, []byte("lo\x00"))
	m.addNumber(4, 5)
	if got, want := hex.EncodeToString(m.body), "07000300"+"6c6f0000"+"08000400"+"05000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
