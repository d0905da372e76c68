"""Reading what a process prints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from linwin.guest import GuestProcess
from linwin.model.guest import Chunk

TIMEOUT = 60
"""Seconds that a program's answer may take, in a guest under emulation too."""


async def collect(process: GuestProcess) -> tuple[bytes, bytes]:
    """All output, acknowledged as it comes."""
    streams = {"stdout": bytearray(), "stderr": bytearray()}
    async for chunk in process.output():
        streams[chunk.stream] += chunk.data
        assert len(streams[chunk.stream]) == chunk.end
        await process.acknowledge(chunk)
    return bytes(streams["stdout"]), bytes(streams["stderr"])


async def until(output: AsyncIterator[Chunk], text: bytes) -> bytes:
    """Output up to the chunk that completes a text, unacknowledged."""
    seen = b""
    async with asyncio.timeout(TIMEOUT):
        while text not in seen:
            seen += (await anext(output)).data
    return seen
