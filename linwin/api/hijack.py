"""Taking a connection over from HTTP, for raw streams in both directions.

aiohttp closes a connection when its client half-closes it, which for a
container's stdin only means "no more input". So the transport gets a protocol
of our own *before* the head of the response is written, and aiohttp's keeps
only its handler task, which ends when the connection is lost.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Mapping

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from linwin.api import mux

INPUT_LIMIT = 256 * 1024
"""Bytes of input that may wait for the container before the client is made to wait."""

LINGER = 5.0
"""Seconds that a client has to hang up after its output ended."""

PATIENT = ("Docker-Client/", "Go-http-client/", "linwin")
"""Beginnings of the user agents that do not lose payload which arrives together with the head."""

PAYLOAD_DELAY = 0.05
"""Seconds between head and payload for all others; docker-py drops what its parser reads beyond the head."""


class Connection(asyncio.Protocol):
    """A client's connection after the hijack. One reader and one writer at a time."""

    def __init__(self, transport: asyncio.Transport, owner: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._input = bytearray()
        self._input_ended = False
        self._discarding = False
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = asyncio.Event()
        self._hangup: select.epoll | None = None
        self._resume_reading()

    async def receive(self) -> bytes:
        """The client's next bytes; empty once it has sent its last."""
        while not self._input and not self._input_ended:
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._input)
        self._input.clear()
        self._resume_reading()
        return data

    async def send(self, data: bytes) -> None:
        """Send, waiting while the client is slow. Raises ConnectionResetError once it is gone."""
        if self._lost.is_set():
            raise ConnectionResetError("the client hung up")
        self._transport.write(data)
        await self._writable.wait()

    def discard_input(self) -> None:
        """Read on, so that the client's end is seen, and keep nothing."""
        self._discarding = True
        self._input.clear()
        self._resume_reading()

    async def hold(self, seconds: float) -> None:
        """Send nothing for a while, or until the client hangs up.

        Its hanging up also cancels the caller, which ``asyncio.wait_for`` of Python 3.11
        forgets when both come at once.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        except TimeoutError:
            return

    async def finish(self) -> None:
        """End the output, once the client has taken all of it, and hang up.

        The client is given time to hang up first: closing a socket with unread
        input would turn the end of its output into a reset.
        """
        self._transport.set_write_buffer_limits(0)
        await self._writable.wait()
        self.discard_input()
        if not self._lost.is_set():
            try:
                self._transport.write_eof()
            except OSError:  # hung up this very moment, which nobody has told us yet
                self.abort()
            await self.hold(LINGER)
            self.abort()

    def abort(self) -> None:
        """Hang up at once. Idempotent."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """asyncio: the client sent something."""
        if self._discarding:
            return
        self._input += data
        self._arrived.set()
        if len(self._input) > INPUT_LIMIT:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more. True keeps the connection for what we send."""
        self._input_ended = True
        self._arrived.set()
        self._watch_for_hangup()
        return True

    def pause_writing(self) -> None:
        """asyncio: the client is slow."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """asyncio: the client has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the client hung up, or we did."""
        self._input_ended = True
        self._lost.set()
        self._arrived.set()
        self._writable.set()
        self._end_watch()
        self._owner.connection_lost(exc)  # cancels the handler

    def _resume_reading(self) -> None:
        if not self._transport.is_reading() and not self._transport.is_closing() and not self._input_ended:
            self._transport.resume_reading()

    def _watch_for_hangup(self) -> None:
        """asyncio stops watching a socket whose input ended; epoll still reports when its output ended too.

        Not before: what a client sent before it hung up is read first.
        """
        self._hangup = select.epoll()
        self._hangup.register(self._transport.get_extra_info("socket").fileno(), select.EPOLLHUP)
        self._loop.add_reader(self._hangup.fileno(), self._hung_up)

    def _hung_up(self) -> None:
        self._end_watch()
        self.abort()

    def _end_watch(self) -> None:
        if self._hangup is not None:
            self._loop.remove_reader(self._hangup.fileno())
            self._hangup.close()
            self._hangup = None


class Hijacked(web.Response):
    """What a handler returns after a hijack: aiohttp has nothing more to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing: the head was sent by :func:`hijack`."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing: the connection ended by itself."""


async def hijack(request: web.Request, headers: Mapping[str, str], content_type: str) -> Connection:
    """Answer the request's head and take its connection over.

    A client that asked for an upgrade gets 101 and ``content_type``; any other
    gets 200 and a raw stream that ends with the connection. Clients send no
    input before they have that answer (RFC 9110, 7.8), so none is lost.
    Raises ConnectionResetError when the client is gone already.
    """
    await request.read()
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client hung up")
    connection = Connection(transport, request.protocol)
    transport.set_protocol(connection)
    transport.write(_head(request, headers, content_type))
    if not request.headers.get("User-Agent", "").startswith(PATIENT):
        await connection.hold(PAYLOAD_DELAY)
    return connection


def _head(request: web.Request, headers: Mapping[str, str], content_type: str) -> bytes:
    if "upgrade" in request.headers.get("Connection", "").lower() and request.headers.get("Upgrade"):
        lines = [
            "HTTP/1.1 101 UPGRADED",
            f"Content-Type: {content_type}",
            "Connection: Upgrade",
            "Upgrade: tcp",
        ]
    else:
        lines = ["HTTP/1.1 200 OK", f"Content-Type: {mux.RAW}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
