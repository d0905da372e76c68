"""Addresses and ranges as plain values, read strictly: what comes out is safe in a rule or a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, ip_interface, ip_network

from linwin.errors import InvalidRequest
from linwin.model import ip
from linwin.model.ip import Address, Range
from linwin.model.network import Network, Subnet

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")


def subnet_range(subnet: Subnet) -> Range:
    try:
        return ip_network(subnet.subnet, strict=False)
    except ValueError as error:
        raise InvalidRequest(f"invalid subnet {subnet.subnet}") from error


def address(text: str) -> Address:
    try:
        return ip.address_of(text)
    except ValueError as error:
        raise InvalidRequest(f"invalid address {text}") from error


def mac(text: str) -> str:
    lowered = text.lower()
    if not _MAC.fullmatch(lowered):
        raise InvalidRequest(f"invalid MAC address {text}")
    return lowered


def gateways(network: Network) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The host's addresses on the network's bridge, each with its prefix length."""
    return tuple(
        ip_interface(f"{address(subnet.gateway)}/{subnet_range(subnet).prefixlen}")
        for subnet in network.subnets
    )


def link_local(mac_address: str) -> IPv6Address:
    """What a NIC calls itself before it has an address (RFC 4291, modified EUI-64)."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    interface = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface)


def overlapping(wanted: Range, others: Iterable[Range]) -> Range | None:
    """The first of ``others`` that shares an address with ``wanted``."""
    return next((other for other in others if ip.overlapping(wanted, other)), None)
