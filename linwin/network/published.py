"""Holds published ports with sockets, and relays what reaches them.

Little does: the kernel translates what it can before a socket sees it (:mod:`linwin.network.rules`).
"""

from __future__ import annotations

import logging
import resource
import socket
from collections.abc import Iterable

from linwin.model.network import Attachment
from linwin.network.ports import HostPort, hold, host_ports
from linwin.network.relay import TcpRelay, UdpRelay

logger = logging.getLogger(__name__)

_Key = tuple[HostPort, str, int]
"""A port of the host, and the address and port of the container that it leads to."""

_MOST_RELAYS = 256
"""Connections that are relayed at a time: each takes files of the daemon's, and guests can ask."""


class PublishedPorts:
    """The sockets of all that is published now."""

    def __init__(self) -> None:
        self._told_of_limit = False
        self._lost: set[_Key] = set()
        self._held: dict[_Key, TcpRelay | UdpRelay] = {}

    async def become(self, attachments: Iterable[Attachment]) -> None:
        """Hold the ports of ``attachments`` and let go of others.

        One that another program took meanwhile is logged: what arrives for it goes to the
        container, for the kernel's rules come first. So does what arrives for those that would take
        the files that the daemon needs for guests and clients.
        """
        wanted = {
            (port, one.ipv4, binding.container_port)
            for one in attachments
            for binding in one.ports
            for port in host_ports(binding)
        }
        for key in self._held.keys() - wanted:
            await self._held.pop(key).close()
        self._lost &= wanted
        for key in wanted - self._held.keys():
            if len(self._held) >= _most_held():
                self._tell_of_limit()
                break
            port, goal, number = key
            try:
                found = hold(port)
            except OSError as error:
                self._tell_of_loss(key, error)
                continue
            self._lost.discard(key)
            if found is not None:
                kind = TcpRelay if found.type == socket.SOCK_STREAM else UdpRelay
                self._held[key] = await kind.open(found, goal, number, self._has_room)

    def _tell_of_loss(self, key: _Key, error: OSError) -> None:
        """Once for each: what is published is gone through at every change of any network."""
        if key not in self._lost:
            self._lost.add(key)
            port = key[0]
            logger.warning(
                "port %s/%s of this host is another program's: %s", port.port, port.protocol, error
            )

    def _tell_of_limit(self) -> None:
        if not self._told_of_limit:
            self._told_of_limit = True
            logger.warning(
                "%d sockets hold published ports, as many as this daemon's limit of open files allows; "
                "further ones are published, but not kept from other programs",
                len(self._held),
            )

    def _has_room(self) -> bool:
        return sum(held.relays for held in self._held.values()) < _MOST_RELAYS


def _most_held() -> int:
    """Half of the files that the daemon may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
