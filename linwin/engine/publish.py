"""Published ports: from what was asked for to ports of the host that nobody else has."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from linwin.engine.interfaces import Networks
from linwin.errors import Conflict, InvalidRequest
from linwin.model.container import Container
from linwin.model.network import PortBinding, PortRequest

PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
"""A port, or a range of them, as docker's ExposedPorts names it."""
MOST_PORTS = 4096
"""That one container exposes or publishes."""


def requests(container: Container) -> tuple[PortRequest, ...]:
    """What is to be published: what was asked for, and with ``-P`` every other exposed port."""
    asked = container.spec.ports
    if not container.spec.publish_all:
        return asked
    named = {(port.container_port, port.protocol) for port in asked}
    return (
        *asked,
        *(port for port in _exposed(container) if (port.container_port, port.protocol) not in named),
    )


def _exposed(container: Container) -> Iterator[PortRequest]:
    for text in container.exposed_ports:
        number, _, protocol = text.partition("/")
        if protocol in ("tcp", "udp"):
            yield PortRequest(int(number), "udp" if protocol == "udp" else "tcp")


def exposed(texts: Iterable[str]) -> tuple[str, ...]:
    """Every single port of what a user and an image expose, as ``80/tcp``; what is no port is left out.

    Raises InvalidRequest for more than a container can have, where ranges that overlap count each.
    """
    ranges = dict.fromkeys(_ranges(texts))
    count = sum(last - first + 1 for first, last, _ in ranges)
    if count > MOST_PORTS:  # before they are made: a body may name millions
        raise InvalidRequest(
            f"{count} exposed ports are too many",
            hint=f"At most {MOST_PORTS}: publish those that are needed.",
        )
    ports = (f"{n}/{protocol}" for first, last, protocol in ranges for n in range(first, last + 1))
    return tuple(dict.fromkeys(ports))


def _ranges(texts: Iterable[str]) -> Iterator[tuple[int, int, str]]:
    for match in filter(None, map(PORT.fullmatch, texts)):
        first, last, protocol = int(match[1]), int(match[2] or match[1]), (match[3] or "tcp").lower()
        if 0 < first <= last < 1 << 16:
            yield first, last, protocol


async def bindings(
    room: Networks, wanted: Sequence[PortRequest], held: Sequence[PortBinding]
) -> tuple[PortBinding, ...]:
    """A port of the host for each request, none of which is among ``held``.

    Raises Conflict, in docker's words, for one that is taken.
    """
    if not wanted:
        return ()
    # Those with a number come first: none of them may go to one that takes any.
    plain = sorted((one for one in wanted if one.first == one.last), key=lambda one: one.first == 0)
    asked = [_binding(one, one.first) for one in plain]
    taken = _Taken(held)
    for binding in asked:
        taken.check(binding)
        taken.add(binding)
    found = list((await room.free_ports([*held, *asked]))[len(held) :])
    taken = _Taken([*held, *found])
    for one in wanted:
        if one.first != one.last:
            found.append(await _in_range(room, one, taken))
            taken.add(found[-1])
    return tuple(found)


async def _in_range(room: Networks, wanted: PortRequest, taken: _Taken) -> PortBinding:
    for number in range(wanted.first, wanted.last + 1):
        binding = _binding(wanted, number)
        try:
            taken.check(binding)
            (free,) = await room.free_ports([binding])
        except Conflict:
            if number == wanted.last:
                raise
        else:
            return free
    raise AssertionError("a range of ports has a last one")


def _binding(wanted: PortRequest, number: int) -> PortBinding:
    return PortBinding(wanted.container_port, wanted.protocol, wanted.host_ip, number)


class _Taken:
    """Bindings by their number on the host: a container may have thousands."""

    def __init__(self, bindings: Iterable[PortBinding]) -> None:
        self._by_number: defaultdict[tuple[str, int], list[PortBinding]] = defaultdict(list)
        for binding in bindings:
            self.add(binding)

    def add(self, binding: PortBinding) -> None:
        if binding.host_port:
            self._by_number[binding.protocol, binding.host_port].append(binding)

    def check(self, binding: PortBinding) -> None:
        """Raises Conflict for one that is there."""
        for other in self._by_number.get((binding.protocol, binding.host_port), ()):
            if other.host_ip == binding.host_ip or not (other.host_ip and binding.host_ip):
                address = binding.host_ip or "0.0.0.0"
                shown = f"[{address}]" if ":" in address else address
                raise Conflict(
                    f"Bind for {shown}:{binding.host_port} failed: port is already allocated",
                    hint="Choose another port of the host, or none: linwin does then.",
                )
