"""Relays from a socket of the host's to a container: what the kernel cannot translate."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

logger = logging.getLogger(__name__)

_Peer: TypeAlias = tuple[Any, ...]
"""The address of a client as its family writes it."""

_CHUNK = 64 << 10
_CONNECT_TIMEOUT = 10.0
_UDP_IDLE = 90.0
"""Seconds after which a UDP client that sends nothing is forgotten, as docker's proxy does."""


class TcpRelay:
    """A listening socket, with the connections that are relayed from it to ``goal``."""

    def __init__(self, held: socket.socket, goal: str, port: int, has_room: Callable[[], bool]) -> None:
        self._held = held
        self._goal = goal
        self._port = port
        self._has_room = has_room
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, held: socket.socket, goal: str, port: int, has_room: Callable[[], bool]) -> TcpRelay:
        found = cls(held, goal, port, has_room)
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


class UdpRelay(asyncio.DatagramProtocol):
    """A socket, with a socket to ``goal`` for each client that sent something lately."""

    def __init__(self, goal: str, port: int, has_room: Callable[[], bool]) -> None:
        self._goal = (goal, port)
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._clients: dict[_Peer, _Client] = {}
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, held: socket.socket, goal: str, port: int, has_room: Callable[[], bool]) -> UdpRelay:
        found = cls(goal, port, has_room)
        found._transport, _ = await found._loop.create_datagram_endpoint(lambda: found, sock=held)
        return found

    @property
    def relays(self) -> int:
        """How many clients are relayed now."""
        return len(self._clients)

    async def close(self) -> None:
        """Let go of the port and forget all clients."""
        for peer in list(self._clients):
            self._forget(peer)
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, peer: _Peer) -> None:
        client = self._clients.get(peer) or self._welcome(peer)
        if client is None:
            return
        client.last = self._loop.time()
        with suppress(OSError):  # as any network, it loses what it cannot carry
            client.far.send(data)

    def _welcome(self, peer: _Peer) -> _Client | None:
        """Make a socket for one more client; None where there is no room, or no goal any more."""
        if not self._has_room():
            return None
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            far.connect(self._goal)
        except OSError as error:
            logger.debug("relay to %s port %d: %s", *self._goal, error)
            far.close()
            return None
        self._loop.add_reader(far, self._answer, far, peer)
        timer = self._loop.call_later(_UDP_IDLE, self._look_after, peer)
        self._clients[peer] = _Client(far, timer)
        return self._clients[peer]

    def _answer(self, far: socket.socket, peer: _Peer) -> None:
        try:
            data = far.recv(_CHUNK)
        except OSError:  # nobody listens there: the client hears nothing, as over any NAT
            return
        if self._transport is not None:
            self._transport.sendto(data, peer)

    def _look_after(self, peer: _Peer) -> None:
        """Forget a client that is silent, or look again when it may be."""
        client = self._clients[peer]
        left = client.last + _UDP_IDLE - self._loop.time()
        if left <= 0:
            self._forget(peer)
        else:
            client.timer = self._loop.call_later(left, self._look_after, peer)

    def _forget(self, peer: _Peer) -> None:
        client = self._clients.pop(peer)
        client.timer.cancel()
        self._loop.remove_reader(client.far)
        client.far.close()


@dataclass
class _Client:
    """A socket towards the goal, and when the client last sent something."""

    far: socket.socket
    timer: asyncio.TimerHandle
    last: float = 0.0


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction, then its end."""
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    with suppress(OSError):  # the other end closed first
        writer.write_eof()
