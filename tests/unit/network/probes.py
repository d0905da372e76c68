"""Questions over the wire: TCP, UDP and ICMP, asked and answered in any namespace."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.unit.network.namespaces import Namespace

PATIENCE = 5.0
"""Seconds for what must come."""

SILENCE = 0.3
"""Seconds after which what must not come has not come."""

ICMP_ECHO = 8
ICMPV6_ECHO = 128


@asynccontextmanager
async def answering(where: Namespace, name: str, port: int, address: str = "") -> AsyncIterator[None]:
    """A server on TCP and UDP that tells who asked: ``NAME ADDRESS``."""
    family = socket.AF_INET if "." in address else socket.AF_INET6
    listening = where.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    datagrams = where.socket(family, socket.SOCK_DGRAM)
    for each in (listening, datagrams):
        each.bind((address, port))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = _plain(writer.get_extra_info("peername")[0])
        writer.write(f"{name} {peer}".encode())
        await writer.drain()
        writer.close()

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
            transport.sendto(f"{name} {_plain(peer[0])}".encode(), peer)

    server = await asyncio.start_server(serve, sock=listening)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, sock=datagrams)
    try:
        yield
    finally:
        server.close()
        transport.close()
        await server.wait_closed()


async def ask(
    where: Namespace,
    address: str,
    port: int,
    protocol: str = "tcp",
    *,
    source: str = "",
    patience: float = PATIENCE,
) -> str:
    """What a server answers, or ``refused``, or ``silence``."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    loop = asyncio.get_running_loop()
    with where.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as asking:
        if source:
            asking.bind((source, 0))
        try:
            async with asyncio.timeout(patience):
                await loop.sock_connect(asking, (address, port))
                if protocol == "udp":
                    await loop.sock_sendall(asking, b"?")
                return (await loop.sock_recv(asking, 1024)).decode()
        except TimeoutError:
            return "silence"
        except OSError:
            return "refused"


async def ping(where: Namespace, address: str, *, patience: float = PATIENCE) -> bool:
    """Does ``address`` answer an ICMP echo request?"""
    six = ":" in address
    family, protocol = (
        (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    )
    mark = os.urandom(8)
    request = struct.pack("!BBHHH", ICMPV6_ECHO if six else ICMP_ECHO, 0, 0, 1, 1) + mark
    if not six:
        request = request[:2] + struct.pack("!H", checksum(request)) + request[4:]
    loop = asyncio.get_running_loop()
    asking = where.do(lambda: socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol))
    with asking:
        try:
            async with asyncio.timeout(patience):
                asking.connect((address, 0))
                await loop.sock_sendall(asking, request)
                while True:
                    answer = await loop.sock_recv(asking, 1024)
                    icmp = answer if six else answer[20:]
                    if icmp.endswith(mark) and icmp[0] in (0, 129):
                        return True
        except (TimeoutError, OSError):
            return False


def checksum(data: bytes) -> int:
    """The Internet's (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _plain(address: str) -> str:
    return address.removeprefix("::ffff:")
