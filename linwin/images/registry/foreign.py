"""Foreign layers: those that may not be redistributed, and say themselves where they can be had.

The urls come from whoever made the image, so they are followed only over https
and only to addresses that are everybody's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import aiohttp
from yarl import URL

from linwin.errors import Unavailable
from linwin.images.compression import Reader
from linwin.images.registry.failures import Absent, Cut
from linwin.images.registry.manifests import Descriptor
from linwin.images.registry.skopeo import one_line, silent
from linwin.images.registry.source import Source
from linwin.images.registry.streams import WholeReader
from linwin.images.registry.web import Web, is_public, proxy_applies, reason_of

_Result = TypeVar("_Result")

_MAXIMUM_REDIRECTS = 5
_MAXIMUM_URLS = 8
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class ForeignLayers:
    """Fetches layers from the urls of their descriptors."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def receive(
        self,
        descriptor: Descriptor,
        what: str,
        work: Callable[[Reader], _Result],
        source: Source,
        interrupt: Callable[[], object] = lambda: None,
    ) -> _Result:
        """Let ``work`` read a layer from the first of its urls that has it, in a thread of ``source``.

        Raises Unavailable when none has it or may be followed, Cut for a
        transfer that broke off, and what ``work`` raises. ``interrupt`` tells
        ``work`` that the caller was cancelled.
        """
        refusals = []
        for text in descriptor.urls[:_MAXIMUM_URLS]:
            try:
                async with self._response(text, source.limits.idle) as (host, response):
                    reader = _ResponseReader(response, host, source.limits.idle)
                    whole = WholeReader(reader, descriptor.size, what)

                    def stop(response: aiohttp.ClientResponse = response) -> None:
                        interrupt()
                        response.close()

                    return await source.in_thread(partial(work, whole), stop)
            except Absent as absent:
                refusals.append(f"{one_line(text)}: {absent}")
        raise Unavailable(
            f"registry {source.subject.registry} lacks {what}, and it cannot be had elsewhere: "
            f"{'; '.join(refusals) or 'it names no urls'}"
        )

    @asynccontextmanager
    async def _response(self, text: str, idle: float) -> AsyncIterator[tuple[str, aiohttp.ClientResponse]]:
        """The answer that has the layer, behind all redirects. Raises Absent for any other."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=idle, sock_read=idle)
        url = _checked(text)
        for _ in range(_MAXIMUM_REDIRECTS + 1):
            async with self._web.session(url, timeout, guarded=True) as session:
                try:
                    response = await session.get(url, allow_redirects=False)
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    raise Absent(_reason(error)) from error
                async with response:
                    if response.status == 200:
                        yield url.host or "", response
                        return
                    if response.status not in _REDIRECTS or "Location" not in response.headers:
                        raise Absent(f"it answers with status {response.status}")
                    url = _checked(response.headers["Location"], url)
        raise Absent(f"it redirects more than {_MAXIMUM_REDIRECTS} times")


class _ResponseReader:
    """Reads a response from a thread, by way of the event loop that it belongs to."""

    def __init__(self, response: aiohttp.ClientResponse, host: str, idle: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._response = response
        self._host = host
        self._idle = idle

    def read(self, size: int, /) -> bytes:
        return asyncio.run_coroutine_threadsafe(self._read(size), self._loop).result()

    async def _read(self, size: int) -> bytes:
        try:
            return await self._response.content.read(size)
        except TimeoutError as error:
            raise silent(self._host, self._idle) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Cut(f"{self._host}: {_reason(error)}") from error


def _checked(text: str, base: URL | None = None) -> URL:
    """A url that may be followed. Raises Absent for any other, saying why."""
    try:
        url = URL(text) if base is None else base.join(URL(text))
        host = url.host
    except ValueError as error:
        raise Absent("it is not a url") from error
    if url.scheme != "https" or not host:
        raise Absent("only https urls are followed")
    if proxy_applies(url):
        _check_for_proxy(host)
    return url.with_user(None)


def _check_for_proxy(host: str) -> None:
    """What can be told of a host whose name only the proxy resolves."""
    try:
        public = is_public(ipaddress.ip_address(host))
    except ValueError:
        public = host.rstrip(".").lower() != "localhost" and "." in host
    if not public:
        raise Absent(f"{host} is not a public address")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientError | TimeoutError | OSError):
        return one_line(reason_of(error))
    return one_line(str(error))
