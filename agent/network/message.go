//go:build linux

package network

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// nodad is IFA_F_NODAD: the host gave the address to nobody else, and one that
// is looked for first is of no use for a second.
const nodad = 0x02

// message is a request of rtnetlink(7), without its header.
type message struct {
	kind  uint16
	flags uint16
	body  []byte
}

// encode puts the header before a message.
func (m message) encode(sequence uint32) []byte {
	length := syscall.SizeofNlMsghdr + len(m.body)
	out := binary.NativeEndian.AppendUint32(make([]byte, 0, length), uint32(length))
	out = binary.NativeEndian.AppendUint16(out, m.kind)
	out = binary.NativeEndian.AppendUint16(out, m.flags|syscall.NLM_F_REQUEST)
	out = binary.NativeEndian.AppendUint32(out, sequence)
	out = binary.NativeEndian.AppendUint32(out, 0) // the kernel fills in who asks
	return append(out, m.body...)
}

// add appends an attribute. Its length does not count the padding.
func (m *message) add(kind uint16, value []byte) {
	m.body = binary.NativeEndian.AppendUint16(m.body, uint16(syscall.SizeofRtAttr+len(value)))
	m.body = binary.NativeEndian.AppendUint16(m.body, kind)
	m.body = append(m.body, value...)
	for len(m.body)%syscall.NLMSG_ALIGNTO != 0 {
		m.body = append(m.body, 0)
	}
}

func (m *message) addNumber(kind uint16, value uint32) {
	m.add(kind, binary.NativeEndian.AppendUint32(nil, value))
}

// link is a message about an interface: struct ifinfomsg. The flags in change
// become what they are in flags.
func link(kind uint16, index int, flags, change uint32) message {
	body := make([]byte, 4, syscall.SizeofIfInfomsg) // any family, any type
	body = binary.NativeEndian.AppendUint32(body, uint32(index))
	body = binary.NativeEndian.AppendUint32(body, flags)
	body = binary.NativeEndian.AppendUint32(body, change)
	return message{kind: kind, flags: syscall.NLM_F_ACK, body: body}
}

// up is the message that brings an interface up with an MTU.
func up(index int, mtu uint32) message {
	m := link(syscall.RTM_NEWLINK, index, syscall.IFF_UP, syscall.IFF_UP)
	m.addNumber(syscall.IFLA_MTU, mtu)
	return m
}

// down is the message that takes an interface down, and its routes with it.
func down(index int) message { return link(syscall.RTM_NEWLINK, index, 0, syscall.IFF_UP) }

// setMAC is the message that gives an interface a MAC, of which the kernel then tells the
// neighbours, also where it had that one before.
func setMAC(index int, mac []byte) message {
	m := link(syscall.RTM_NEWLINK, index, 0, 0)
	m.add(syscall.IFLA_ADDRESS, mac)
	return m
}

// addAddress is the message that gives an interface an address, or lets it keep it.
func addAddress(index int, address netip.Prefix) message {
	m := onAddress(syscall.RTM_NEWADDR, index, address)
	m.flags |= syscall.NLM_F_CREATE | syscall.NLM_F_REPLACE
	if address.Addr().Is4() && address.Bits() < 31 {
		m.add(syscall.IFA_BROADCAST, broadcast(address))
	}
	return m
}

func removeAddress(index int, address netip.Prefix) message {
	return onAddress(syscall.RTM_DELADDR, index, address)
}

// onAddress is a message about an address: struct ifaddrmsg.
func onAddress(kind uint16, index int, address netip.Prefix) message {
	flags := byte(0)
	if address.Addr().Is6() {
		flags = nodad
	}
	body := []byte{family(address.Addr()), byte(address.Bits()), flags, syscall.RT_SCOPE_UNIVERSE}
	m := message{kind: kind, flags: syscall.NLM_F_ACK, body: binary.NativeEndian.AppendUint32(body, uint32(index))}
	m.add(syscall.IFA_LOCAL, address.Addr().AsSlice())
	m.add(syscall.IFA_ADDRESS, address.Addr().AsSlice())
	return m
}

// broadcast is the last address of an IPv4 subnet.
func broadcast(address netip.Prefix) []byte {
	bytes := address.Addr().As4()
	last := binary.BigEndian.Uint32(bytes[:]) | ^uint32(0)>>address.Bits()
	return binary.BigEndian.AppendUint32(nil, last)
}

// defaultRoute is the message that sends what is for no network of the guest to a
// gateway: struct rtmsg. The lowest metric wins.
func defaultRoute(index int, gateway netip.Addr, metric uint32) message {
	body := []byte{
		family(gateway), 0, 0, 0,
		syscall.RT_TABLE_MAIN, syscall.RTPROT_STATIC, syscall.RT_SCOPE_UNIVERSE, syscall.RTN_UNICAST,
		0, 0, 0, 0,
	}
	flags := uint16(syscall.NLM_F_ACK | syscall.NLM_F_CREATE | syscall.NLM_F_REPLACE)
	m := message{kind: syscall.RTM_NEWROUTE, flags: flags, body: body}
	m.add(syscall.RTA_GATEWAY, gateway.AsSlice())
	m.addNumber(syscall.RTA_OIF, uint32(index))
	m.addNumber(syscall.RTA_PRIORITY, metric)
	return m
}

func family(address netip.Addr) byte {
	if address.Is4() {
		return syscall.AF_INET
	}
	return syscall.AF_INET6
}
