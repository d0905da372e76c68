"""Which private ranges networks get that ask for none: docker's pools, then the rest of 10/8."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Network, ip_network

from linwin.errors import Conflict, Unavailable
from linwin.model.ip import Range
from linwin.model.network import Subnet
from linwin.network import addresses

# Each pool with the prefix length of the ranges taken from it.
_POOLS = (
    ("172.17.0.0/16", 16),
    ("172.18.0.0/15", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/13", 16),
    ("10.0.0.0/8", 20),
    ("192.168.0.0/16", 24),
)


def free(taken: Iterable[Subnet], used: Sequence[Range], *, ipv6: bool, tag: str) -> Subnet:
    """The first range that neither ``taken`` nor ``used`` overlap. Raises Unavailable."""
    others = [*map(addresses.subnet_range, taken), *used]
    for found in _unique_local(tag) if ipv6 else _private():
        if addresses.overlapping(found, others) is None:
            return Subnet(str(found), str(found[1]))
    raise Unavailable(
        "could not find an available, non-overlapping "
        f"IPv{6 if ipv6 else 4} address pool among the defaults to assign to the network",
        hint="Choose one with --subnet, or remove networks that nothing uses: linwin network prune.",
    )


def check(subnet: Subnet, used: Iterable[tuple[Range, str]]) -> None:
    """Raises Conflict for a range that the host uses; ``used`` names the link of each."""
    wanted = addresses.subnet_range(subnet)
    for found, link in used:
        if addresses.overlapping(wanted, [found]):
            raise Conflict(
                "invalid pool request: Pool overlaps with other one on this address space",
                hint=f"This host uses {found} on {link}; choose another --subnet.",
            )


def _private() -> Iterator[Range]:
    for pool, length in _POOLS:
        yield from ip_network(pool).subnets(new_prefix=length)


def _unique_local(tag: str) -> Iterator[IPv6Network]:
    """The 65,536 networks of the one /48 that is this root's (RFC 4193: 40 bits that others hardly share)."""
    site = b"\xfd" + hashlib.sha256(tag.encode()).digest()[:5]
    for number in range(1 << 16):
        yield IPv6Network((site + number.to_bytes(2, "big") + bytes(8), 64))
