"""Sending what is made while it is sent: many small pieces with few writes, and tars."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing

from aiohttp import web

logger = logging.getLogger(__name__)

LIMIT = 256 * 1024
"""Bytes that may wait for a slow client before the source is made to wait."""


async def send_all(pieces: AsyncGenerator[bytes, None], write: Callable[[bytes], Awaitable[None]]) -> None:
    """Write all ``pieces``: at once those that are there at once, and none later than it came.

    Raises what the source raises, after everything before it was written.
    """
    waiting = bytearray()
    arrived, taken = asyncio.Event(), asyncio.Event()

    async def collect() -> None:
        async with aclosing(pieces):
            async for piece in pieces:
                waiting.extend(piece)
                arrived.set()
                if len(waiting) >= LIMIT:
                    taken.clear()
                    await taken.wait()

    collecting = asyncio.create_task(collect())
    collecting.add_done_callback(lambda _: arrived.set())
    try:
        while waiting or not collecting.done():
            if not waiting:
                arrived.clear()
                await arrived.wait()
            data = bytes(waiting)
            waiting.clear()
            taken.set()
            if data:
                await write(data)
        collecting.result()
    finally:
        collecting.cancel()
        await asyncio.wait([collecting])


async def send_tar(
    request: web.Request,
    pieces: AsyncIterator[bytes],
    what: str,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/x-tar",
) -> web.StreamResponse:
    """Answer with a tar that is made as it is sent; ``what`` names it in the log.

    An error before the first piece is a status; one after it can only break the connection off.
    """
    response = web.StreamResponse(headers=headers)
    response.content_type = content_type
    response.enable_chunked_encoding()
    try:
        async for piece in pieces:
            if not response.prepared:
                await response.prepare(request)
            await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        raise
    except Exception:
        if not response.prepared:
            raise
        logger.exception("the archive of %s was broken off", what)
        if request.transport is not None:
            request.transport.abort()
    return response
