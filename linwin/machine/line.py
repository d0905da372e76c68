"""Streams of bytes to and from a machine's serial console or screen."""

from __future__ import annotations

import asyncio
import socket

from linwin.errors import Unavailable

_PIECE = 64 << 10


class SocketLine:
    """Implements :class:`linwin.engine.interfaces.Line` with a connected socket, which is its own."""

    def __init__(self, end: socket.socket) -> None:
        """``end`` does not block."""
        self._end = end
        self._loop = asyncio.get_running_loop()

    @property
    def closed(self) -> bool:
        return self._end.fileno() < 0

    async def receive(self) -> bytes:
        """What comes next; empty at the end."""
        try:
            return await self._loop.sock_recv(self._end, _PIECE)
        except ConnectionError:
            return b""

    async def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises Unavailable when nobody takes it any more."""
        try:
            await self._loop.sock_sendall(self._end, data)
        except ConnectionError as error:
            raise Unavailable("the machine ended before it took all of what was typed") from error

    def close(self) -> None:
        """Hang up, when nobody receives or sends any more. Idempotent."""
        self._end.close()
