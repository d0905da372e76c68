"""Sending many small pieces with few writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

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
