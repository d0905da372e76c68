"""IP addresses and ranges, as plain values."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Range = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def address_of(text: str) -> Address:
    """An address that a user wrote. Raises ValueError, for one with a zone too.

    A zone (``fe80::1%eth0``) may be any text whatever, nft's own words too; it is no part of an
    address that a container can have, and would make two of one.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return ip_address(text)


def overlapping(one: Range, other: Range) -> bool:
    """Whether two ranges, of either version, have addresses in common."""
    return one.version == other.version and one.overlaps(other)
