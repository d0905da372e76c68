"""What builds fetch over http(s): files for ADD, and contexts.

The proxies of the environment are honoured. Any server may be asked, as docker's builder may be told to.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import aiohttp
from yarl import URL

from linwin.errors import InvalidRequest, Unavailable
from linwin.model.build import Fetched
from linwin.sources.addresses import WEB, without_secret
from linwin.sources.spool import disk_failures, no_space, room_in

SILENCE = 60.0
"""Seconds that a server may send nothing."""
MOST_REDIRECTS = 10
PIECE = 1 << 20
DOING = "a file was fetched"


async def fetch_file(address: str, target: Path) -> Fetched:
    """See :meth:`linwin.engine.source_interface.Sources.fetch`."""
    async with answer_of(address) as response:
        digest = await write(response, target)
        await asyncio.to_thread(date, target, response.headers.get("Last-Modified"))
    name = re.split(r"[/\\]", URL(address).name)[-1]
    return Fetched(name, f"sha256:{digest}")


async def fetch_context(address: str, target: Path) -> None:
    """Fetch a tar or a Dockerfile. Raises InvalidRequest for an address of neither, or of a web page."""
    async with answer_of(address) as response:
        if response.content_type == "text/html":
            raise InvalidRequest(
                f"{without_secret(address)} is a web page, neither a tar archive nor a Dockerfile",
                hint="For a repository of git, name it with .git at its end.",
            )
        await write(response, target)


@asynccontextmanager
async def answer_of(address: str) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer that has a file, behind all redirects. Raises InvalidRequest and Unavailable."""
    shown = without_secret(address)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=SILENCE, sock_read=SILENCE)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout,
                trust_env=True,
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(checked(address), max_redirects=MOST_REDIRECTS) as response,
        ):
            check_status(response, shown)
            yield response
    except aiohttp.TooManyRedirects as error:
        raise Unavailable(f"{shown} redirects more than {MOST_REDIRECTS} times") from error
    except aiohttp.InvalidURL as error:
        raise InvalidRequest(f"{shown} leads to what is not an address") from error
    except TimeoutError as error:
        raise Unavailable(f"{shown} sent nothing for {SILENCE:g} s", hint="Try again later.") from error
    except aiohttp.ClientError as error:
        raise Unavailable(
            f"cannot fetch {shown}: {reason(error)}",
            hint="Check the address, and that this host can reach it.",
        ) from error


def checked(address: str) -> URL:
    if address.startswith(WEB):
        try:
            url = URL(address)
            if url.host:
                return url
        except ValueError as error:
            raise InvalidRequest(f"{without_secret(address)} is not an address: {error}") from error
    raise InvalidRequest(
        f"{without_secret(address)} is not an address of http or https", hint="Write https://HOST/PATH."
    )


def check_status(response: aiohttp.ClientResponse, shown: str) -> None:
    """Raises InvalidRequest for what the server does not have, Unavailable for one that has trouble."""
    if response.status == HTTPStatus.OK:
        return
    said = f"failed to GET {shown} with status {response.status} {response.reason or ''}".rstrip()
    if response.status < 500 and response.status != HTTPStatus.TOO_MANY_REQUESTS:
        raise InvalidRequest(said, hint="Check the address.")
    raise Unavailable(said, hint="Try again later.")


async def write(response: aiohttp.ClientResponse, target: Path) -> str:
    """Write an answer's body to ``target``; return its SHA-256. Nothing is left of one that breaks off."""
    digest = hashlib.sha256()
    room = room_in(target.parent)
    if (response.content_length or 0) > room:
        raise no_space(DOING)
    try:
        with opened(target) as file:

            def put(data: bytes) -> None:
                with disk_failures(DOING):
                    digest.update(data)
                    file.write(data)
                    file.flush()

            async for data in response.content.iter_chunked(PIECE):
                room -= len(data)
                if room < 0:
                    raise no_space(DOING)
                await asyncio.to_thread(put, data)
    except BaseException:
        discard(target)
        raise
    return digest.hexdigest()


def opened(target: Path) -> BinaryIO:
    with disk_failures(DOING):
        return target.open("wb")


def discard(target: Path) -> None:
    target.unlink(missing_ok=True)


def date(target: Path, modified: str | None) -> None:
    """Give a file the time that its server says, or 1970."""
    seconds = 0
    if modified:
        try:
            seconds = max(0, int(parsedate_to_datetime(modified).timestamp()))
        except (ValueError, OverflowError):
            seconds = 0  # as docker takes what is no time
    os.utime(target, (seconds, seconds))


def reason(error: aiohttp.ClientError) -> str:
    """What went wrong with a request, for people."""
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, ConnectionError):  # for which asyncio has words of its own
            return os.strerror(cause.errno or errno.ECONNREFUSED)
        return str(cause)
    return without_secret(str(error)) or type(error).__name__
