"""Ports of the host: which are free, and holding those that are published.

The kernel carries a published port to its container before any socket sees it. The port is held
by a socket of ours all the same: so that no other program believes it to be its own, and to relay
what the kernel cannot carry: what arrives over IPv6 for a container that has none, or at ::1.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from linwin.errors import Conflict
from linwin.model.ip import Address
from linwin.model.network import PortBinding, Protocol
from linwin.network import addresses

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ANY = (addresses.address("0.0.0.0"), addresses.address("::"))
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class HostPort:
    """A port at one address of the host, which may be all of IPv4 or all of IPv6."""

    protocol: Protocol
    address: Address
    port: int

    @property
    def number(self) -> tuple[Protocol, int, int]:
        """What it has in common with those that may want the same packets."""
        return self.protocol, self.port, self.address.version

    def meets(self, other: HostPort) -> bool:
        """Do both want the same packets?"""
        return self.number == other.number and (
            self.address == other.address or self.address.is_unspecified or other.address.is_unspecified
        )


class HeldPorts:
    """Ports that are not free, by number: a container may publish thousands."""

    def __init__(self, bindings: Iterable[PortBinding]) -> None:
        self._ports: defaultdict[tuple[Protocol, int, int], list[HostPort]] = defaultdict(list)
        for binding in bindings:
            self.add(binding)

    def add(self, binding: PortBinding) -> None:
        for port in host_ports(binding):
            self._ports[port.number].append(port)

    def meeting(self, binding: PortBinding) -> HostPort | None:
        """The first part of a binding that wants what another has."""
        for port in host_ports(binding):
            if any(port.meets(other) for other in self._ports.get(port.number, ())):
                return port
        return None


def host_ports(binding: PortBinding) -> Iterator[HostPort]:
    """Where on the host a binding is reached."""
    for address in (addresses.address(binding.host_ip),) if binding.host_ip else _ANY:
        yield HostPort(binding.protocol, address, binding.host_port)


class FreePorts:
    """Chooses host ports, the next one each time, so that two who ask at once hardly meet."""

    def __init__(self) -> None:
        self._last = 0

    def choose(self, bindings: Sequence[PortBinding], published: Iterable[PortBinding]) -> list[PortBinding]:
        """The same with a host port in each. Raises Conflict for one that is held, by us or others."""
        held = HeldPorts(published)
        found: list[PortBinding] = []
        for binding in bindings:
            chosen = binding if binding.host_port else self._next(binding, held)
            _check(chosen, held)
            held.add(chosen)
            found.append(chosen)
        return found

    def _next(self, binding: PortBinding, held: HeldPorts) -> PortBinding:
        first, last = map(int, _RANGE.read_text().split())
        for _ in range(first, last + 1):
            self._last = self._last + 1 if first <= self._last < last else first
            candidate = replace(binding, host_port=self._last)
            if held.meeting(candidate) is None and not any(map(_refusal, host_ports(candidate))):
                return candidate
        raise Conflict(
            f"failed to bind host port for {binding.host_ip or '0.0.0.0'}: all ports are allocated"
        )


def _check(binding: PortBinding, held: HeldPorts) -> None:
    if (ours := held.meeting(binding)) is not None:
        raise Conflict(
            f"Bind for {binding.host_ip or ours.address}:{ours.port} failed: port is already allocated"
        )
    for port in host_ports(binding):
        if why := _refusal(port):
            raise Conflict(f"failed to bind host port {_written(port)}/{port.protocol}: {why}")


def _refusal(port: HostPort) -> str:
    """Why the host does not give us the port, in Go's words as docker's users know them, or empty."""
    try:
        held = hold(port)
    except OSError as error:
        return os.strerror(error.errno or 0).lower()
    if held is not None:
        held.close()
    return ""


def hold(port: HostPort) -> socket.socket | None:
    """A socket that holds the port, listening if it is TCP's. Raises OSError when others have it.

    None on a host without IPv6, where all of IPv6 is nobody's.
    """
    family = socket.AF_INET6 if port.address.version == 6 else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    try:
        found = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    except OSError as error:
        if port.address == _ANY[1] and error.errno in _NO_IPV6:
            return None
        raise
    try:
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # As every server does: connections that ended a minute ago do not hold a port.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((str(port.address), port.port))
        if kind == socket.SOCK_STREAM:
            found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        if port.address == _ANY[1] and error.errno in _NO_IPV6:
            return None
        raise
    return found


def _written(port: HostPort) -> str:
    return f"[{port.address}]:{port.port}" if port.address.version == 6 else f"{port.address}:{port.port}"
