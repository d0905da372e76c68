"""The API over TCP, for clients that show a certificate.

Whoever reaches the API is root on the host, so there is no TCP without TLS and no
TLS without a client's certificate. Each connection is decrypted here and goes on
to the server through a pair of sockets, because a half-close must get through
(:mod:`linwin.tls`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.tls import PIECE, TlsStream, no_passphrase

logger = logging.getLogger(__name__)

Accept = Callable[[socket.socket], Awaitable[object]]
"""Serves one connected socket."""

HANDSHAKE_TIMEOUT = 10.0  # seconds
LINGER = 5.0
"""Seconds that a client has to hang up after it was told all: its answer, or why it is refused."""

KEEPALIVE = 15
"""Seconds of silence after which a client is asked whether its host is still there; docker's."""


@dataclass(frozen=True, slots=True)
class TlsAddress:
    """Where to listen, and what proves who is who: files in PEM."""

    host: str
    port: int
    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Raises InvalidRequest for files that cannot be read or do not fit together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(self.certificate, self.key, password=no_passphrase)
            context.load_verify_locations(self.ca)
        except OSError as error:  # ssl.SSLError is one
            raise InvalidRequest(
                f"the certificates cannot be used: {error.strerror or error}",
                hint=f"They are {self.ca}, {self.certificate} and {self.key}, in PEM.",
            ) from error
        return context


@asynccontextmanager
async def listening(address: TlsAddress, accept: Accept) -> AsyncIterator[None]:
    """Serve TLS clients until the context ends."""
    front = _Front(address.context(), accept)
    try:
        server = await asyncio.start_server(front.serve, address.host, address.port, limit=PIECE)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {address.host}:{address.port}: {error.strerror or error}",
            hint="Choose an address of this host and a port that is free.",
        ) from error
    for sock in server.sockets:  # and, on Linux, whatever it accepts
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE)
    try:
        yield
    finally:
        server.close()
        await front.close()


class _Front:
    def __init__(self, context: ssl.SSLContext, accept: Accept) -> None:
        self._context = context
        self._accept = accept
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, from its hello to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (ssl.SSLError, TimeoutError) as error:
            peer = writer.get_extra_info("peername")
            logger.warning("a client at %s is refused: %s", peer[0] if peer else "?", error or "no hello")
        except OSError as error:
            logger.debug("a client over TLS is gone: %s", error)
        except asyncio.CancelledError:
            # The daemon ends. asyncio would report a cancelled task as a defect (before Python 3.12).
            if not self._closing:
                raise
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def close(self) -> None:
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tls = TlsStream(self._context)
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                first = await _greet(tls, reader, writer)
        except ssl.SSLError:
            writer.write(tls.outgoing())  # what it is told
            await _hear_out(reader, writer)
            raise
        ours, theirs = socket.socketpair()
        await self._accept(theirs)
        inner_reader, inner_writer = await asyncio.open_connection(sock=ours, limit=PIECE)
        try:
            await _carry(tls, (reader, writer), (inner_reader, inner_writer), first)
        finally:
            inner_writer.transport.abort()


Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _greet(tls: TlsStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The handshake; returns what the client sent behind it."""
    while True:
        data = await reader.read(PIECE)
        if not data:
            raise ConnectionResetError("it hung up in the middle of its hello")
        plain = tls.feed(data)
        writer.write(tls.outgoing())
        await writer.drain()
        if tls.established:
            return plain


async def _hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let a client that is refused hang up first: what it sends unread would undo what it was told."""
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(LINGER):
            writer.write_eof()
            while await reader.read(PIECE):
                pass


async def _carry(tls: TlsStream, outer: Pair, inner: Pair, first: bytes) -> None:
    """Carry bytes and ends both ways until either side is gone."""
    inward = asyncio.create_task(_inward(tls, outer, inner[1], first))
    outward = asyncio.create_task(_outward(tls, inner[0], outer[1]))
    try:
        # A client that is gone ends it all; an answer that is complete lets it say that it has it.
        done, _ = await asyncio.wait((inward, outward), return_when=asyncio.FIRST_COMPLETED)
        if outward in done and inward not in done:
            await asyncio.wait((inward,), timeout=LINGER)
        for task in done:
            task.result()
    finally:
        for task in (inward, outward):
            task.cancel()
        await asyncio.gather(inward, outward, return_exceptions=True)


async def _inward(tls: TlsStream, outer: Pair, target: asyncio.StreamWriter, plain: bytes) -> None:
    """From the client to the server, until the client hangs up; its end of input is passed on."""
    reader, writer = outer
    passed = False
    while True:
        target.write(plain)
        await target.drain()
        if tls.ended and not passed:
            passed = True
            target.write_eof()
        data = await reader.read(PIECE)
        if not data:
            return
        plain = b"" if tls.ended else tls.feed(data)
        writer.write(tls.outgoing())
        await writer.drain()


async def _outward(tls: TlsStream, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """From the server to the client, until the server hangs up."""
    while data := await source.read(PIECE):
        tls.write(data)
        writer.write(tls.outgoing())
        await writer.drain()
    tls.end()
    writer.write(tls.outgoing())
    writer.transport.set_write_buffer_limits(high=0)  # a slow client gets the last byte too
    await writer.drain()
    writer.write_eof()
