"""Streams of bytes to and from a machine's serial console or screen."""

from __future__ import annotations

import asyncio
import os
import socket
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Self

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


class FileLine:
    """Implements :class:`linwin.engine.interfaces.Line` with an open file, which is its own."""

    def __init__(self, file: int) -> None:
        """``file`` does not block."""
        self._file = file
        self._loop = asyncio.get_running_loop()

    @classmethod
    def of_terminal(cls, path: Path) -> Self:
        """A pseudo-terminal, of whose bytes the kernel changes none. Raises OSError."""
        file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tty.setraw(file)
        except BaseException:
            os.close(file)
            raise
        return cls(file)

    @property
    def closed(self) -> bool:
        return self._file < 0

    async def receive(self) -> bytes:
        """What comes next; empty at the end."""
        while True:
            try:
                return os.read(self._file, _PIECE)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
            except OSError:  # EIO: the terminal's other end is gone
                return b""

    async def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises Unavailable when nobody takes it any more."""
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)
            except OSError as error:
                raise Unavailable("the machine ended before it took all of what was typed") from error

    def close(self) -> None:
        """Hang up, when nobody receives or sends any more. Idempotent."""
        if not self.closed:
            os.close(self._file)
            self._file = -1

    async def _until(
        self, add: Callable[[int, Callable[[], None]], object], remove: Callable[[int], object]
    ) -> None:
        """Wait for the file to be readable or writable, whichever ``add`` has the loop look for."""
        ready = asyncio.Event()
        add(self._file, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._file)
