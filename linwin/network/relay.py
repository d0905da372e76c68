"""Holds published ports with sockets, and relays the TCP connections that reach them.

Few do: the kernel translates what it can before a socket sees it (:mod:`linwin.network.rules`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress

from linwin.model.network import Attachment
from linwin.network.ports import HostPort, hold, host_ports

logger = logging.getLogger(__name__)

_CHUNK = 64 << 10
_CONNECT_TIMEOUT = 10.0

_MOST_RELAYS = 256
"""Connections that are relayed at a time: each takes two files of the daemon's, and guests can ask."""


class PublishedPorts:
    """The sockets of all that is published now."""

    def __init__(self) -> None:
        self._held: dict[tuple[HostPort, str, int], _HeldPort] = {}

    async def become(self, attachments: Iterable[Attachment]) -> None:
        """Hold the ports of ``attachments`` and let go of others.

        One that another program took meanwhile is logged: what arrives for it goes to the
        container, for the kernel's rules come first.
        """
        wanted = {
            (port, one.ipv4, binding.container_port)
            for one in attachments
            for binding in one.ports
            for port in host_ports(binding)
        }
        for key in self._held.keys() - wanted:
            await self._held.pop(key).close()
        for key in wanted - self._held.keys():
            port, goal, number = key
            try:
                found = hold(port)
            except OSError as error:
                logger.warning(
                    "port %s/%s of this host is another program's: %s", port.port, port.protocol, error
                )
                continue
            if found is not None:
                self._held[key] = await _HeldPort.open(found, goal, number, self._has_room)

    def _has_room(self) -> bool:
        return sum(held.relays for held in self._held.values()) < _MOST_RELAYS


class _HeldPort:
    """One socket, with the connections that are relayed from it to ``goal``."""

    def __init__(self, held: socket.socket, goal: str, port: int, has_room: Callable[[], bool]) -> None:
        self._held = held
        self._goal = goal
        self._port = port
        self._has_room = has_room
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, held: socket.socket, goal: str, port: int, has_room: Callable[[], bool]) -> _HeldPort:
        found = cls(held, goal, port, has_room)
        if held.type == socket.SOCK_STREAM:
            found._server = await asyncio.start_server(found._accept, sock=held)
        return found

    @property
    def relays(self) -> int:
        """How many connections are relayed now."""
        return len(self._relays)

    async def close(self) -> None:
        """Let go of the port and end what is relayed."""
        if self._server is not None:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        self._held.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._has_room():
            writer.transport.abort()
            return
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                far_reader, far_writer = await asyncio.open_connection(self._goal, self._port)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(_copy(reader, far_writer))
                    both.create_task(_copy(far_reader, writer))
            finally:
                far_writer.close()
        except* OSError as errors:  # a timeout is one too; either end may be gone at any time
            logger.debug("relay to %s port %d ended: %s", self._goal, self._port, errors.exceptions[0])
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction, then its end."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):  # the other end closed first
        writer.write_eof()
