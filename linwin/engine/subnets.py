"""The address ranges of a network that is to be made: checked in docker's words. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_interface, ip_network

from linwin.errors import Forbidden, InvalidRequest, Unsupported
from linwin.model import ip
from linwin.model.ip import Range, address_of
from linwin.model.network import MTU_OPTION, NetworkSpec, Subnet

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}")
_MTUS = range(576, 65522)  # to what a tap carries beside its frame's header
_LEAST_V6_MTU = 1280  # RFC 8200; with less a kernel has no IPv6
_ISOLATION = ("com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade")
_NOBODYS = tuple(map(ip_network, ("127.0.0.0/8", "224.0.0.0/4", "::1/128", "fe80::/10", "ff00::/8")))
"""Ranges of no container's: a host's own, of many at once, and what every NIC gives itself."""
_FALSE = frozenset({"0", "f", "false"})


def check_name(name: str) -> None:
    """Raise InvalidRequest for a name that no network can have."""
    if not name.strip():
        raise InvalidRequest("invalid name: name is empty")
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"invalid name: {name!r}",
            hint="Use letters, digits, underscores, dots and dashes, at most 128 of them.",
        )


def check_options(spec: NetworkSpec) -> Iterator[str]:
    """Sentences about options that are echoed and do nothing.

    Raises Unsupported for those that would keep containers apart, were they known.
    """
    for name, value in spec.options.items():
        if name in _ISOLATION and value.lower() in _FALSE:
            raise Unsupported(
                f"linwin does not support the network option {name}={value}",
                hint="To keep containers from the world make the network --internal.",
            )
        if name == MTU_OPTION:
            if _mtu(value) < _LEAST_V6_MTU and spec.ipv6:
                raise InvalidRequest(
                    f"invalid value {value!r} for {MTU_OPTION}", hint=f"IPv6 needs {_LEAST_V6_MTU} at least."
                )
        elif name not in _ISOLATION:
            yield f"the network option {name} is ignored"


def _mtu(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or int(text) not in _MTUS:
        raise InvalidRequest(
            f"invalid value {text!r} for {MTU_OPTION}", hint=f"Use {_MTUS.start} to {_MTUS.stop - 1}."
        )
    return int(text)


def check(spec: NetworkSpec) -> tuple[Subnet, ...]:
    """The ranges that a user chose, whole: each with its gateway. Raises as docker does."""
    errors = [error for subnet in spec.subnets for error in _errors(subnet)]
    if errors:
        raise InvalidRequest(f"invalid network config:\n{joined(errors)}")
    found = tuple(_whole(subnet) for subnet in spec.subnets)
    versions = [range_of(subnet).version for subnet in found]
    if len(versions) != len(set(versions)):
        raise Forbidden("bridge driver doesn't support multiple subnets")
    if 6 in versions and not spec.ipv6:
        raise InvalidRequest("an IPv6 subnet was given for a network without IPv6", hint="Add --ipv6.")
    return found


def joined(errors: Sequence[str]) -> str:
    """Several errors in one text, as docker writes them."""
    return errors[0] if len(errors) == 1 else "\n".join(f"* {error}" for error in errors)


def range_of(subnet: Subnet) -> Range:
    """The addresses of a subnet that was checked."""
    return ip_network(subnet.subnet)


def pool_of(subnet: Subnet) -> Range:
    """Those of them that linwin may choose from."""
    return ip_network(subnet.ip_range or subnet.subnet)


def overlapping(subnet: Subnet, others: Iterable[Subnet]) -> bool:
    """Whether a range has addresses in common with any of others."""
    mine = range_of(subnet)
    return any(ip.overlapping(mine, other) for other in map(range_of, others))


def _whole(subnet: Subnet) -> Subnet:
    gateway = subnet.gateway or str(next(iter(pool_of(subnet).hosts())))
    return dataclasses.replace(
        subnet,
        subnet=str(range_of(subnet)),
        gateway=str(address_of(gateway)),
        ip_range=str(pool_of(subnet)) if subnet.ip_range else "",
    )


def _errors(subnet: Subnet) -> Iterator[str]:
    whole = _range(subnet.subnet)
    if whole is None:
        yield f"invalid subnet {subnet.subnet}: invalid CIDR block notation"
        return
    if str(whole) != str(ip_interface(subnet.subnet)):
        yield f"invalid subnet {subnet.subnet}: it should be {whole}"
    if whole.num_addresses < 4:
        yield f"invalid subnet {subnet.subnet}: it has no room for a gateway and a container"
    if any(ip.overlapping(one, whole) for one in _NOBODYS):
        yield f"invalid subnet {subnet.subnet}: it has loopback, multicast or link-local addresses"
    yield from _range_errors(subnet.ip_range, whole)
    if why := _outside(subnet.gateway, whole):
        yield f"invalid gateway {subnet.gateway}: {why}"
    for name, address in subnet.reserved.items():
        if why := _outside(address, whole):
            yield f"invalid auxiliary address {name}: {why}"


def _range_errors(text: str, whole: Range) -> Iterator[str]:
    if not text:
        return
    part = _range(text)
    if part is None:
        yield f"invalid ip-range {text}: invalid CIDR block notation"
    elif part.version != whole.version:
        yield f"invalid ip-range {text}: parent subnet is an IPv{whole.version} block"
    else:
        if part.prefixlen < whole.prefixlen:
            yield f"invalid ip-range {text}: CIDR block is bigger than its parent subnet {whole}"
        if str(part) != str(ip_interface(text)):
            yield f"invalid ip-range {text}: it should be {part}"
        if not part.overlaps(whole):
            yield f"invalid ip-range {text}: parent subnet {whole} doesn't contain ip-range"


def _outside(text: str, whole: Range) -> str:
    """Why an address is none of a range; empty where it is one, or none was given."""
    if not text:
        return ""
    try:
        address = address_of(text)
    except ValueError:
        return "invalid address"
    if address.version != whole.version:
        return f"parent subnet is an IPv{whole.version} block"
    return "" if address in whole else f"parent subnet {whole} doesn't contain this address"


def _range(text: str) -> Range | None:
    """A range as Go reads it, host bits allowed; None where it is none."""
    if not re.fullmatch(r"[0-9a-fA-F:.]+/\d{1,3}", text):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
