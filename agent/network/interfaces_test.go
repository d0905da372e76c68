//go:build linux

package network

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"linwin/agent/wire"
)

const mac = "02:42:ac:1e:07:02"

var first = wire.Interface{
	MAC: mac, Addresses: []string{"172.30.7.2/24", "fd00:7::2/64"}, Gateway4: "172.30.7.1", Gateway6: "fd00:7::1",
	DNS: []string{"172.30.7.1"}, Search: []string{"example.test"}, MTU: 1400,
}

// alone moves the test into a network namespace of its own, on a thread that ends with it.
func alone(t *testing.T) *Interfaces {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	runtime.LockOSThread() // and never unlock
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	n, err := Open(filepath.Join(t.TempDir(), "files"))
	if err != nil {
		t.Fatal(err)
	}
	n.nic, n.carrier = time.Second, time.Second
	tell(t, up(index(t, "lo"), 65536))
	return n
}

// pair plugs a NIC: one end of a veth. The link is up when the other end is.
func pair(t *testing.T, name, peer, mac string, linked bool) {
	t.Helper()
	address, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	const infoKind, infoData, vethPeer = 1, 2, 1 // IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER
	other := link(0, 0, 0, 0)
	other.add(syscall.IFLA_IFNAME, []byte(peer+"\x00"))
	var data, info message
	data.add(vethPeer, other.body)
	info.add(infoKind, []byte("veth"))
	info.add(infoData, data.body)
	m := link(syscall.RTM_NEWLINK, 0, 0, 0)
	m.flags |= syscall.NLM_F_CREATE | syscall.NLM_F_EXCL
	m.add(syscall.IFLA_IFNAME, []byte(name+"\x00"))
	m.add(syscall.IFLA_ADDRESS, address)
	m.add(syscall.IFLA_LINKINFO, info.body)
	tell(t, m)
	if linked {
		tell(t, up(index(t, peer), 1500))
	}
}

func index(t *testing.T, name string) int {
	t.Helper()
	nic, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return nic.Index
}

func tell(t *testing.T, m message) {
	t.Helper()
	kernel, err := dial(0)
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.close()
	if err := kernel.do(m); err != nil {
		t.Fatalf("message %d: %v", m.kind, err)
	}
}

// has tells which addresses a NIC has, but those that IPv6 makes up.
func has(t *testing.T, name string) (found []string) {
	t.Helper()
	nic, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := nic.Addrs()
	if err != nil {
		t.Error(err)
	}
	for _, a := range addresses {
		if !netip.MustParsePrefix(a.String()).Addr().IsLinkLocalUnicast() {
			found = append(found, a.String())
		}
	}
	return found
}

// gateways are the lines of the kernel's table of IPv4 routes that have a gateway.
func gateways(t *testing.T) (found []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/route")
	if err != nil {
		t.Error(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if words := strings.Fields(line); len(words) > 7 && words[1] == "00000000" {
			found = append(found, words[0]+" "+words[2])
		}
	}
	return found
}

func read(t *testing.T, n *Interfaces, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.folder, name))
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

func TestAnInterfaceIsConfiguredChangedAndForgotten(t *testing.T) {
	n := alone(t)
	pair(t, "nic", "peer", mac, true)
	for range 2 { // the host asks again when an answer was lost
		if err := n.Connect(first); err != nil {
			t.Fatal(err)
		}
	}
	nic, err := net.InterfaceByName("nic")
	if err != nil || nic.MTU != 1400 || nic.Flags&net.FlagRunning == 0 {
		t.Errorf("the NIC is %+v, %v", nic, err)
	}
	if got := has(t, "nic"); !slices.Equal(got, first.Addresses) {
		t.Errorf("its addresses are %v", got)
	}
	if got := gateways(t); !slices.Equal(got, []string{"nic 01071EAC"}) {
		t.Errorf("the gateways are %v", got)
	}
	if got := read(t, n, "resolv.conf"); got != "nameserver 172.30.7.1\nsearch example.test\noptions ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
	if got := read(t, n, "hosts"); !strings.Contains(got, "\n172.30.7.2 ") || !strings.Contains(got, "\nfd00:7::2 ") {
		t.Errorf("hosts is %q", got)
	}
	changed := first
	changed.Addresses, changed.Gateway4, changed.Gateway6 = []string{"172.30.7.3/24"}, "", ""
	if err := n.Connect(changed); err != nil {
		t.Fatal(err)
	}
	if got := has(t, "nic"); !slices.Equal(got, changed.Addresses) || len(gateways(t)) != 0 {
		t.Errorf("its addresses are %v, the gateways %v", got, gateways(t))
	}
	for range 2 {
		if err := n.Forget(mac); err != nil {
			t.Fatal(err)
		}
	}
	if nic, err = net.InterfaceByName("nic"); err != nil || nic.Flags&net.FlagUp != 0 || len(has(t, "nic")) != 0 {
		t.Errorf("the NIC is %+v with %v, %v", nic, has(t, "nic"), err)
	}
	if got := read(t, n, "resolv.conf"); got != "options ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
}

// TestAnIPv6AddressIsThereAtOnce holds it against the kernel's own second of looking for another
// owner: an address can be bound once it is not tentative.
func TestAnIPv6AddressIsThereAtOnce(t *testing.T) {
	n := alone(t)
	pair(t, "nic", "peer", mac, true)
	if err := n.Connect(first); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet6{Addr: netip.MustParseAddr("fd00:7::2").As16()}); err != nil {
		t.Error(err)
	}
}

func TestWithoutAnIPv6AddressThereIsNoIPv6(t *testing.T) {
	n := alone(t)
	pair(t, "nic", "peer", mac, true)
	plain := wire.Interface{MAC: mac, Addresses: []string{"10.0.0.2/24"}, MTU: 1500}
	if err := n.Connect(plain); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	if err != nil || bytes.Contains(text, []byte(" nic\n")) {
		t.Errorf("addresses are %q, %v", text, err)
	}
}

func TestTheWayOutIsTheFirstNICsAndThenTheNextOnes(t *testing.T) {
	n := alone(t)
	const other = "02:42:ac:1f:08:02"
	second := wire.Interface{
		MAC: other, Addresses: []string{"172.31.8.2/24"}, Gateway4: "172.31.8.1", DNS: []string{"172.31.8.1"}, MTU: 1500,
	}
	pair(t, "nic2", "peer2", other, true) // which the kernel meets first
	pair(t, "nic", "peer", mac, true)
	if err := errors.Join(n.Connect(first), n.Connect(second)); err != nil {
		t.Fatal(err)
	}
	if got := gateways(t); !slices.Equal(got, []string{"nic 01071EAC", "nic2 01081FAC"}) {
		t.Errorf("the gateways are %v", got)
	}
	if got := read(t, n, "resolv.conf"); got != "nameserver 127.0.0.11\nsearch example.test\noptions ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
	tell(t, link(syscall.RTM_DELLINK, index(t, "nic"), 0, 0)) // unplugged before it was forgotten
	if err := n.Forget(mac); err != nil {
		t.Fatal(err)
	}
	if got := gateways(t); !slices.Equal(got, []string{"nic2 01081FAC"}) {
		t.Errorf("the gateways are %v", got)
	}
	if got := read(t, n, "resolv.conf"); got != "nameserver 172.31.8.1\noptions ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
}

func TestANICThatComesLateIsWaitedFor(t *testing.T) {
	n := alone(t)
	n.nic = 50 * time.Millisecond
	err := n.Connect(first)
	want := "find the NIC " + mac + ": no NIC has the address " + mac + " after 50ms"
	var refused *wire.Error
	if !errors.As(err, &refused) || refused.Kind != wire.Unavailable || refused.Message != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestALinkThatDoesNotComeIsTold(t *testing.T) {
	n := alone(t)
	n.carrier = 50 * time.Millisecond
	pair(t, "nic", "peer", mac, false)
	err := n.Connect(first)
	if err == nil || !strings.HasSuffix(err.Error(), "wait for its link: i/o timeout") {
		t.Errorf("got %v", err)
	}
	if got := has(t, "nic"); len(got) != 0 {
		t.Errorf("it keeps the addresses %v", got)
	}
	if got := read(t, n, "resolv.conf"); got != "options ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
}

func TestAChangeThatFailsLeavesNothingOfTheFormer(t *testing.T) {
	n := alone(t)
	pair(t, "nic", "peer", mac, true)
	if err := n.Connect(first); err != nil {
		t.Fatal(err)
	}
	n.carrier = 50 * time.Millisecond
	tell(t, down(index(t, "peer")))
	if err := n.Connect(first); err == nil {
		t.Error("it is up without a link")
	}
	if got := read(t, n, "resolv.conf"); got != "options ndots:0\n" {
		t.Errorf("resolv.conf is %q", got)
	}
	if got := read(t, n, "hosts"); strings.Contains(got, "172.30.7.2") {
		t.Errorf("hosts is %q", got)
	}
}

// TestWhatWaitsForANICIsGivenUp has a NIC come after the host has forgotten it, or has
// said something else of it.
func TestWhatWaitsForANICIsGivenUp(t *testing.T) {
	n := alone(t)
	pair(t, "nic", "peer", mac, true)
	early, err := parse(first)
	if err != nil {
		t.Fatal(err)
	}
	changed := first
	changed.Addresses = []string{"172.30.7.3/24", "fd00:7::3/64"}
	for _, c := range []struct {
		meanwhile func() error
		left      []string
	}{
		{func() error { return n.Forget(mac) }, nil},
		{func() error { return n.Connect(changed) }, changed.Addresses},
	} {
		n.wanted.Store(mac, &early)
		if err := c.meanwhile(); err != nil {
			t.Fatal(err)
		}
		err := n.connect("nic", &early)
		if err == nil || err.Error() != "the NIC "+mac+" was forgotten or changed before it came" {
			t.Errorf("got %v", err)
		}
		if got := has(t, "nic"); !slices.Equal(got, c.left) {
			t.Errorf("its addresses are %v, want %v", got, c.left)
		}
	}
}

// TestNeighboursAreToldThoughTheLinkComesLate listens at the other end for what the kernel says
// by itself only to those who hear it as the interface comes up.
func TestNeighboursAreToldThoughTheLinkComesLate(t *testing.T) {
	n := alone(t)
	n.carrier = 10 * time.Second
	pair(t, "nic", "peer", mac, false)
	const everything = 0x0300 // ETH_P_ALL as the network has it
	ear, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, everything)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(ear)
	peer := index(t, "peer")
	if err := syscall.Bind(ear, &syscall.SockaddrLinklayer{Protocol: everything, Ifindex: peer}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetsockoptTimeval(ear, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 10}); err != nil {
		t.Fatal(err)
	}
	events, err := dial(linkEvents)
	if err != nil {
		t.Fatal(err)
	}
	defer events.close()
	kernel, err := dial(0) // of this namespace, also for another thread
	if err != nil {
		t.Fatal(err)
	}
	defer kernel.close()
	linked := make(chan error, 1)
	go func() {
		_, err := events.receive() // the NIC is up, and has no link
		linked <- errors.Join(err, kernel.do(up(peer, 1500)))
	}()
	if err := errors.Join(n.Connect(first), <-linked); err != nil {
		t.Fatal(err)
	}
	const arp, advertisement = "\x08\x06", 136
	frame := make([]byte, 2000)
	for toldV4, toldV6 := false, false; !toldV4 || !toldV6; {
		length, _, err := syscall.Recvfrom(ear, frame, 0)
		if err == syscall.ENETDOWN {
			continue // said once: it was, as the ear was bound to it
		}
		if err != nil {
			t.Fatalf("told by ARP %v, by ICMPv6 %v: %v", toldV4, toldV6, err)
		}
		toldV4 = toldV4 || string(frame[12:14]) == arp
		toldV6 = toldV6 || length > 54 && string(frame[12:14]) == "\x86\xdd" && frame[54] == advertisement
	}
}

// As in a clone of a frozen guest: the NIC is up, under the address that all clones begin with.
func TestANICThatWasMetBeforeGetsItsAddress(t *testing.T) {
	const frozen, madeOfIt = "02:42:00:00:00:01", "fe80::42:ff:fe00:1"
	n := alone(t)
	pair(t, "nic", "peer", frozen, false)
	if err := n.Meet(); err != nil {
		t.Fatal(err)
	}
	met, err := net.InterfaceByName("nic")
	if err != nil {
		t.Fatal(err)
	}
	if addresses, err := met.Addrs(); err != nil || met.Flags&net.FlagUp == 0 || len(addresses) != 0 {
		t.Errorf("after it was met: %v with %v, %v", met.Flags, addresses, err)
	}
	tell(t, up(index(t, "peer"), 1500)) // the host has plugged the cable already
	clone := first
	clone.Found = frozen
	if err := n.Connect(clone); err != nil {
		t.Fatal(err)
	}
	nic, err := net.InterfaceByName("nic")
	if err != nil {
		t.Fatal(err)
	}
	if got := nic.HardwareAddr.String(); got != mac {
		t.Errorf("its address is %s", got)
	}
	addresses, err := nic.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if strings.HasPrefix(a.String(), madeOfIt) {
			t.Errorf("it has %v, as every clone", a)
		}
	}
	if got := has(t, "nic"); !slices.Equal(got, first.Addresses) {
		t.Errorf("its addresses are %v", got)
	}
	if err := n.Forget(mac); err != nil {
		t.Error(err)
	}
}
