"""The few requests that are not skopeo's: a search, and the urls of foreign layers.

The proxies of the environment are honoured as skopeo honours them.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address is anybody's on the internet, and nobody's in this network or host."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast


def proxy_applies(url: URL) -> bool:
    """Whether the environment sends requests for ``url`` through a proxy."""
    return url.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(url.host or "")


@dataclass(frozen=True, slots=True)
class Web:
    """How linwin itself reaches the web; other values than these are for tests."""

    is_allowed: Callable[[Address], bool] = is_public
    resolver: AbstractResolver | None = None
    ssl_context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def session(
        self, url: URL, timeout: aiohttp.ClientTimeout, *, guarded: bool
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """A session to send one request to ``url`` with.

        ``guarded``, it connects to allowed addresses alone, which is checked of
        every address as it is connected to: neither a name that resolves to
        another one the second time nor a redirect gets past. Through a proxy it
        is the proxy that resolves, and that says where it may be led.
        """
        proxied = proxy_applies(url)
        connector = aiohttp.TCPConnector(
            resolver=self.resolver,
            ssl=self.ssl_context or True,
            socket_factory=self._socket if guarded and not proxied else None,
            force_close=True,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            trust_env=proxied,
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            yield session

    def _socket(self, address: Any) -> socket.socket:
        """Open a socket for an address as getaddrinfo(3) gives it. Raises OSError for one not allowed."""
        family, kind, protocol, _, target = address
        host = str(target[0]).partition("%")[0]
        if not self.is_allowed(ipaddress.ip_address(host)):
            raise PermissionError(f"{host} is not a public address")
        return socket.socket(family, kind, protocol)


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body of a response; None when it is larger than ``limit`` bytes."""
    body = b""
    async for data in response.content.iter_chunked(1 << 16):
        body += data
        if len(body) > limit:
            return None
    return body


def reason_of(error: aiohttp.ClientError | asyncio.TimeoutError | OSError) -> str:
    """What went wrong with a request, for people."""
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, ConnectionError):  # for which asyncio has words of its own
            return os.strerror(cause.errno or errno.ECONNREFUSED)
        return str(cause)
    return str(error) or type(error).__name__


def _embedded(address: Address) -> Address | None:
    """The IPv4 address that packets to an IPv6 address end up at, where it tells."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
