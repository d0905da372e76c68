// Package network configures a guest's NICs as the host says, in place of a
// DHCP client: addresses, routes, and how names are resolved.
package network

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"linwin/agent/wire"
)

const (
	// most bounds each list of an interface: the host has a use for a few.
	most    = 32
	leastV4 = 68   // RFC 791
	leastV6 = 1280 // RFC 8200
	mostMTU = 65535
)

// plan is an interface as it was asked for, understood and found to be sound.
type plan struct {
	mac       net.HardwareAddr
	found     net.HardwareAddr // the MAC that it has before
	addresses []netip.Prefix
	gateways  []netip.Addr // one of each family at most
	servers   []netip.Addr
	search    []string
	mtu       uint32
}

// mostHosts bounds the names that a guest is given.
const mostHosts = 256

// host is a name that needs no server, understood and found to be sound.
type host struct {
	name    string
	address netip.Addr
}

// parseHosts understands names and their addresses, or tells what is wrong with them.
func parseHosts(names []wire.HostName) ([]host, error) {
	if len(names) > mostHosts {
		return nil, wire.Errorf(wire.Invalid, "%d hosts, of %d at most", len(names), mostHosts)
	}
	hosts := make([]host, 0, len(names))
	for _, n := range names {
		address, err := netip.ParseAddr(n.Address)
		if err != nil || address.Zone() != "" {
			return nil, wire.Errorf(wire.Invalid, "%q is no address of a host", n.Address)
		}
		if !isDomain(n.Name) {
			return nil, wire.Errorf(wire.Invalid, "%q is no name of a host", n.Name)
		}
		hosts = append(hosts, host{n.Name, address})
	}
	return hosts, nil
}

// parse understands an interface, or tells what is wrong with it.
func parse(i wire.Interface) (p plan, err error) {
	if p.mac, err = parseMAC(i.MAC); err != nil {
		return p, err
	}
	p.found = p.mac
	if i.Found != "" {
		if p.found, err = parseMAC(i.Found); err != nil {
			return p, err
		}
	}
	if len(i.Addresses) == 0 || len(i.Addresses) > most || len(i.DNS) > most || len(i.Search) > most {
		return p, wire.Errorf(wire.Invalid, "%s has %d addresses, %d servers and %d domains, of %d at most",
			i.MAC, len(i.Addresses), len(i.DNS), len(i.Search), most)
	}
	for _, text := range i.Addresses {
		address, err := netip.ParsePrefix(text)
		if err != nil || !usable(address.Addr()) || address.Bits() == 0 {
			return p, wire.Errorf(wire.Invalid, "%q is no address of an interface", text)
		}
		p.addresses = append(p.addresses, address)
	}
	if err := p.route(i.Gateway4, netip.Addr.Is4); err != nil {
		return p, err
	}
	if err := p.route(i.Gateway6, netip.Addr.Is6); err != nil {
		return p, err
	}
	for _, text := range i.DNS {
		server, err := netip.ParseAddr(text)
		if err != nil || !usable(server) {
			return p, wire.Errorf(wire.Invalid, "%q is no address of a name server", text)
		}
		p.servers = append(p.servers, server)
	}
	for _, name := range i.Search {
		if !isDomain(name) {
			return p, wire.Errorf(wire.Invalid, "%q is no domain to search", name)
		}
		p.search = append(p.search, name)
	}
	return p, p.limit(i.MTU)
}

// route takes a gateway of one family, or "" for none. It must be reachable.
func (p *plan) route(text string, family func(netip.Addr) bool) error {
	if text == "" {
		return nil
	}
	gateway, err := netip.ParseAddr(text)
	if err != nil || !family(gateway) || !usable(gateway) {
		return wire.Errorf(wire.Invalid, "%q is no address of a gateway", text)
	}
	if !slices.ContainsFunc(p.addresses, func(a netip.Prefix) bool { return a.Contains(gateway) }) {
		return wire.Errorf(wire.Invalid, "the gateway %s is in none of the interface's subnets", gateway)
	}
	p.gateways = append(p.gateways, gateway)
	return nil
}

func (p *plan) limit(mtu int) error {
	least := leastV4
	if p.hasV6() {
		least = leastV6
	}
	if mtu < least || mtu > mostMTU {
		return wire.Errorf(wire.Invalid, "an MTU of %d, not %d to %d", mtu, least, mostMTU)
	}
	p.mtu = uint32(mtu)
	return nil
}

func (p *plan) hasV6() bool {
	return slices.ContainsFunc(p.addresses, func(a netip.Prefix) bool { return a.Addr().Is6() })
}

// parseMAC understands the address of one Ethernet device.
func parseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || slices.Max(mac) == 0 {
		return nil, wire.Errorf(wire.Invalid, "%q is no address of a NIC", text)
	}
	return mac, nil
}

// usable tells whether an address is one host's, and says on which network.
func usable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.Zone() == "" && !a.Is4In6()
}

// isDomain tells whether a name can stand in resolv.conf: letters, digits, dashes
// and underscores between dots.
func isDomain(name string) bool {
	if len(name) > 253 {
		return false
	}
	for _, label := range strings.Split(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, domainLetters) != "" {
			return false
		}
	}
	return true
}

const domainLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
