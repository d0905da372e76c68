//go:build linux

package network

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"linwin/agent/device"
	"linwin/agent/wire"
)

const (
	// nicTimeout is how long a NIC may take to appear, carrierTimeout its link, which one
	// has that was here before once the host has made its networks.
	nicTimeout     = 30 * time.Second
	carrierTimeout = 30 * time.Second
	settings       = "/proc/sys/net"
	// The NIC that came first has the way out, and when it goes the next one takes over.
	leastMetric = 100
)

// namesAt is where docker's containers have their name server.
var namesAt = netip.MustParseAddrPort("127.0.0.11:53")

const namePort = 53

// Interfaces are the NICs that the host has had configured, in the order they came.
type Interfaces struct {
	folder  string
	nic     time.Duration
	carrier time.Duration

	names *names
	// wanted is, by MAC, the plan that the host said last: one that waits for its NIC is
	// given up when the host forgets the NIC or says another.
	wanted sync.Map

	mu        sync.Mutex
	hosts     []host
	plans     []plan
	connected uint32 // counts what was connected, and ranks default routes
}

// Open begins with no NIC, and with files in a folder that say so.
func Open(folder string) (*Interfaces, error) {
	n := &Interfaces{folder: folder, nic: nicTimeout, carrier: carrierTimeout, names: newNames(namesAt, namePort)}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	return n, n.tell()
}

// SetHosts gives names addresses, in the place of those that were given before.
func (n *Interfaces) SetHosts(names []wire.HostName) error {
	hosts, err := parseHosts(names)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts = hosts
	return n.tell()
}

// Connect configures a NIC that is plugged in or about to be. Once it is answered,
// programs reach what is there. To connect one again is to change it.
func (n *Interfaces) Connect(i wire.Interface) error {
	p, err := parse(i)
	if err != nil {
		return err
	}
	began := time.Now()
	n.wanted.Store(p.mac.String(), &p)
	defer n.wanted.CompareAndDelete(p.mac.String(), &p)
	name, err := device.NIC(p.found, n.nic)
	if err != nil {
		return wire.Errorf(wire.Unavailable, "find the NIC %s: %v", p.found, err)
	}
	found := time.Since(began)
	if err := n.connect(name, &p); err != nil {
		return err
	}
	log.Printf("%s (%s) is %v, found after %v, up after %v", name, p.mac, p.addresses,
		found.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	return nil
}

// connect configures a NIC that is there, unless the host has thought better of it.
func (n *Interfaces) connect(name string, p *plan) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, _ := n.wanted.Load(p.mac.String()); last != p {
		return wire.Errorf(wire.Unavailable, "the NIC %s was forgotten or changed before it came", p.mac)
	}
	if err := n.forget(p.mac); err != nil {
		return err
	}
	n.connected++
	if err := configure(name, *p, leastMetric+n.connected, n.carrier); err != nil {
		err = errors.Join(err, unconfigure(*p), n.tell())
		return wire.Errorf(wire.Unavailable, "configure %s (%s): %v", name, p.mac, err)
	}
	n.plans = append(n.plans, *p)
	return n.tell()
}

// Forget takes down a NIC that is about to be unplugged. One that nobody knows is
// no error, and neither is one that is gone.
func (n *Interfaces) Forget(mac string) error {
	address, err := parseMAC(mac)
	if err != nil {
		return err
	}
	n.wanted.Delete(address.String())
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.forget(address); err != nil {
		return err
	}
	return n.tell()
}

func (n *Interfaces) forget(mac net.HardwareAddr) error {
	at := slices.IndexFunc(n.plans, func(p plan) bool { return bytes.Equal(p.mac, mac) })
	if at < 0 {
		return nil
	}
	if err := unconfigure(n.plans[at]); err != nil {
		return wire.Errorf(wire.Unavailable, "take down the NIC %s: %v", mac, err)
	}
	n.plans = slices.Delete(n.plans, at, at+1)
	return nil
}

// tell writes what programs read of networks.
func (n *Interfaces) tell() error {
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	servers, err := n.ask()
	if err != nil {
		return err
	}
	return errors.Join(
		replace(n.folder, hostsFile, hosts(hostname, n.hosts, n.plans)),
		replace(n.folder, resolverFile, resolver(servers, n.plans)),
	)
}

// ask decides whom programs ask for names: the servers of their network, or the agent
// where there are several networks.
func (n *Interfaces) ask() ([]netip.Addr, error) {
	groups := servers(n.plans)
	if len(groups) < 2 {
		return slices.Concat(groups...), n.names.rest()
	}
	if err := n.names.serve(groups); err != nil {
		// A program of the container has the port.
		log.Printf("only names of the first network are known: %v", err)
		return slices.Concat(groups...), nil
	}
	return []netip.Addr{namesAt.Addr()}, nil
}

// configure brings an interface up. Its addresses come first, then routes, which need
// it up, and once it has its link the others on its network are told of them.
func configure(name string, p plan, metric uint32, carrier time.Duration) error {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	kernel, err := dial(0)
	if err != nil {
		return err
	}
	defer kernel.close()
	// First, since the kernel makes an address of it for itself once there is IPv6.
	if !bytes.Equal(p.found, p.mac) {
		if err := kernel.do(setMAC(nic.Index, p.mac)); err != nil {
			return fmt.Errorf("give it the address %s: %w", p.mac, err)
		}
	}
	if err := adjust(name, p.hasV6()); err != nil {
		return err
	}
	for _, address := range p.addresses {
		if err := kernel.do(addAddress(nic.Index, address)); err != nil {
			return fmt.Errorf("set the address %s: %w", address, err)
		}
	}
	if err := kernel.do(up(nic.Index, p.mtu)); err != nil {
		return fmt.Errorf("bring it up with an MTU of %d: %w", p.mtu, err)
	}
	for _, gateway := range p.gateways {
		if err := kernel.do(defaultRoute(nic.Index, gateway, metric)); err != nil {
			return fmt.Errorf("set the gateway %s: %w", gateway, err)
		}
	}
	if err := awaitCarrier(nic.Index, carrier); err != nil {
		return fmt.Errorf("wait for its link: %w", err)
	}
	// Setting the MAC once more makes the kernel tell them. What it said as the interface
	// came up is lost where the link comes later.
	if err := kernel.do(setMAC(nic.Index, p.mac)); err != nil {
		log.Printf("%s: its neighbours are not told of it, they will have to ask: %v", name, err)
	}
	return nil
}

// adjust says what the kernel does by itself on an interface: it tells its
// neighbours that an address is here now, and looks for no router and for no other
// owner of an address (a second's wait), since the host knows.
func adjust(name string, v6 bool) error {
	if err := set("ipv4/conf/"+name+"/arp_notify", "1"); err != nil {
		return err
	}
	folder := "ipv6/conf/" + name
	if !v6 {
		err := set(folder+"/disable_ipv6", "1")
		if errors.Is(err, os.ErrNotExist) {
			return nil // a kernel without it
		}
		return err
	}
	for _, setting := range [][2]string{
		{"accept_ra", "0"}, {"autoconf", "0"}, {"accept_dad", "0"}, {"ndisc_notify", "1"}, {"disable_ipv6", "0"},
	} {
		if err := set(folder+"/"+setting[0], setting[1]); err != nil {
			return err
		}
	}
	return nil
}

func set(name, value string) error {
	return os.WriteFile(filepath.Join(settings, name), []byte(value), 0)
}

// Meet brings the NICs up that a guest has before it is frozen, silent: whoever goes on
// from there has less to do.
func (n *Interfaces) Meet() error {
	all, err := net.Interfaces()
	if err != nil {
		return err
	}
	kernel, err := dial(0)
	if err != nil {
		return err
	}
	defer kernel.close()
	for _, nic := range all {
		if len(nic.HardwareAddr) == 0 || nic.Flags&net.FlagLoopback != 0 {
			continue
		}
		if err := adjust(nic.Name, false); err != nil {
			return err
		}
		if err := kernel.do(up(nic.Index, uint32(nic.MTU))); err != nil {
			return fmt.Errorf("bring %s up: %w", nic.Name, err)
		}
	}
	return nil
}

// unconfigure takes back what configure did, where the interface still exists.
func unconfigure(p plan) error {
	nic, err := device.FindNIC(p.mac)
	if err != nil || nic == nil {
		return err
	}
	kernel, err := dial(0)
	if err != nil {
		return err
	}
	defer kernel.close()
	for _, address := range p.addresses {
		if err := drop(kernel, nic.Index, address); err != nil {
			return fmt.Errorf("remove the address %s: %w", address, err)
		}
	}
	return kernel.do(down(nic.Index))
}

// drop removes an address, which a program in the guest may have removed already.
func drop(kernel *socket, index int, address netip.Prefix) error {
	err := kernel.do(removeAddress(index, address))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		return nil
	}
	return err
}
