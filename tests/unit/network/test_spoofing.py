"""Guests that pretend to be others: every frame is written by hand, as a hostile guest would."""

from __future__ import annotations

import asyncio
import socket
import struct
from ipaddress import IPv6Address, ip_address

import pytest

from linwin.network.addresses import link_local
from tests.unit.network.namespaces import Guest, Namespace
from tests.unit.network.probes import PATIENCE, checksum
from tests.unit.network.world import World, attachment, network

pytestmark = pytest.mark.root

ARP, IP, IP6, VLAN = 0x0806, 0x0800, 0x86DD, 0x8100
EVERYBODY = "ff:ff:ff:ff:ff:ff"
MARK = b"is this from whom it says?"

NAT = network("nat", "172.20.0.0/16", "fd00:20::/64")
VICTIM, THIEF = attachment(NAT, 2, "victim"), attachment(NAT, 3, "thief")


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def arp(operation: int, sender_mac: str, sender: str, target: str, *, source: str = "") -> bytes:
    body = struct.pack("!HHBBH", 1, IP, 6, 4, operation)
    body += mac(sender_mac) + ip_address(sender).packed + bytes(6) + ip_address(target).packed
    return mac(EVERYBODY) + mac(source or sender_mac) + struct.pack("!H", ARP) + body + MARK


def udp(source_mac: str, source: str, target: str, ports: tuple[int, int] = (7, 7)) -> bytes:
    """A broadcast UDP datagram, over IPv4 or IPv6, without a checksum."""
    payload = struct.pack("!HHHH", *ports, 8 + len(MARK), 0) + MARK
    if ":" in source:
        header = struct.pack("!IHBB", 6 << 28, len(payload), socket.IPPROTO_UDP, 64)
        return _frame(source_mac, IP6, header + _both(source, target) + payload)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, socket.IPPROTO_UDP, 0)
    whole = header + _both(source, target)
    return _frame(source_mac, IP, whole[:10] + struct.pack("!H", checksum(whole)) + whole[12:] + payload)


def neighbour(source_mac: str, source: str, kind: int, body: bytes) -> bytes:
    """An ICMPv6 message of neighbour discovery to all nodes."""
    payload = struct.pack("!BBH", kind, 0, 0) + body + MARK
    header = struct.pack("!IHBB", 6 << 28, len(payload), socket.IPPROTO_ICMPV6, 255)
    return _frame(source_mac, IP6, header + _both(source, "ff02::1") + payload)


def advertisement(source_mac: str, source: str, target: str) -> bytes:
    return neighbour(source_mac, source, 136, bytes(4) + IPv6Address(target).packed)


def _frame(source_mac: str, kind: int, packet: bytes) -> bytes:
    return mac(EVERYBODY) + mac(source_mac) + struct.pack("!H", kind) + packet


def _both(source: str, target: str) -> bytes:
    return ip_address(source).packed + ip_address(target).packed


OWN, OTHER = THIEF.mac, VICTIM.mac
OWN_LOCAL, OTHER_LOCAL = str(link_local(OWN)), str(link_local(OTHER))

GENUINE = {
    "an ARP answer": arp(2, OWN, THIEF.ipv4, VICTIM.ipv4),
    "an ARP probe": arp(1, OWN, "0.0.0.0", THIEF.ipv4),
    "IPv4": udp(OWN, THIEF.ipv4, VICTIM.ipv4),
    "a request for a lease": udp(OWN, "0.0.0.0", "255.255.255.255", (68, 67)),
    "IPv6": udp(OWN, THIEF.ipv6, VICTIM.ipv6),
    "IPv6 from its link-local address": udp(OWN, OWN_LOCAL, "ff02::1"),
    "IPv6 from a link-local address that it invented": udp(OWN, "fe80::1234:5678:9abc:def0", "ff02::1"),
    "a neighbour advertisement": advertisement(OWN, THIEF.ipv6, THIEF.ipv6),
    "one for the link-local address": advertisement(OWN, OWN_LOCAL, OWN_LOCAL),
    "one for an invented link-local address": advertisement(OWN, "fe80::1:2:3:4", "fe80::1:2:3:4"),
}

SPOOFED = {
    "another's MAC": udp(OTHER, THIEF.ipv4, VICTIM.ipv4),
    "another's MAC and address": udp(OTHER, VICTIM.ipv4, VICTIM.ipv4),
    "another's address": udp(OWN, VICTIM.ipv4, VICTIM.ipv4),
    "the gateway's address": udp(OWN, "172.20.0.1", VICTIM.ipv4),
    "an address of nobody's": udp(OWN, "172.20.9.9", VICTIM.ipv4),
    "an address of elsewhere": udp(OWN, "192.0.2.77", VICTIM.ipv4),
    "no address and no request": udp(OWN, "0.0.0.0", VICTIM.ipv4),
    "the loopback's address": udp(OWN, "127.0.0.1", VICTIM.ipv4),
    "another's address in ARP": arp(2, OWN, VICTIM.ipv4, "172.20.0.1"),
    "the gateway's address in ARP": arp(2, OWN, "172.20.0.1", VICTIM.ipv4),
    "another's MAC in ARP": arp(2, OTHER, THIEF.ipv4, VICTIM.ipv4, source=OWN),
    "an ARP answer for 0.0.0.0": arp(2, OWN, "0.0.0.0", VICTIM.ipv4),
    "a DHCP server's answer": udp(OWN, THIEF.ipv4, "255.255.255.255", (67, 68)),
    "another's IPv6 address": udp(OWN, VICTIM.ipv6, VICTIM.ipv6),
    "another's link-local address": udp(OWN, OTHER_LOCAL, "ff02::1"),
    "an IPv6 address of nobody's": udp(OWN, "fd00:20::99", VICTIM.ipv6),
    "no IPv6 address": udp(OWN, "::", VICTIM.ipv6),
    "an advertisement of another's address": advertisement(OWN, THIEF.ipv6, VICTIM.ipv6),
    "one of another's link-local address": advertisement(OWN, OWN_LOCAL, OTHER_LOCAL),
    "one of the gateway's address": advertisement(OWN, OWN_LOCAL, "fd00:20::1"),
    "a router advertisement": neighbour(OWN, OWN_LOCAL, 134, bytes(12)),
    "a redirect": neighbour(OWN, OWN_LOCAL, 137, bytes(36)),
    "a DHCPv6 server's answer": udp(OWN, OWN_LOCAL, "ff02::1", (547, 546)),
    "a VLAN": _frame(OWN, VLAN, struct.pack("!HH", 1, IP) + udp(OWN, THIEF.ipv4, VICTIM.ipv4)[14:]),
    "a protocol that nobody speaks": _frame(OWN, 0x88CC, bytes(46) + MARK),
}


def sniffer(where: Namespace, link: str) -> socket.socket:
    def listen() -> socket.socket:
        found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
        found.bind((link, 3))
        return found

    return where.do(listen)


async def next_marked(listening: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while True:
            frame = await loop.sock_recv(listening, 2048)
            if MARK in frame:
                return frame


async def guests(world: World) -> tuple[Guest, Guest]:
    await world.apply((NAT,), (VICTIM, THIEF))
    return await world.guest(VICTIM), await world.guest(THIEF)


@pytest.mark.usefixtures("bridged_packets")
async def test_what_a_guest_says_as_itself_arrives(world: World) -> None:
    victim, thief = await guests(world)
    with sniffer(victim, "eth0") as listening, sniffer(thief, "eth0") as sending:
        for what, frame in GENUINE.items():
            sending.send(frame)
            assert await next_marked(listening) == frame, what


@pytest.mark.usefixtures("bridged_packets")
async def test_what_a_guest_says_as_another_does_not(world: World) -> None:
    victim, thief = await guests(world)
    with sniffer(victim, "eth0") as listening, sniffer(thief, "eth0") as sending:
        for what, frame in SPOOFED.items():
            sending.send(frame)
            # What comes after it has passed it by: no need to wait for what does not come.
            sending.send(GENUINE["IPv4"])
            first = await next_marked(listening)
            assert first == GENUINE["IPv4"], what
