"""What the pulls of one store know of each other: who fetches which blob, and what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from linwin.images.compression import Compression


@dataclass(frozen=True, slots=True)
class Content:
    """What was found in a layer's blob."""

    diff_id: str
    compression: Compression | None


class Transfers:
    """One a store.

    ``contents`` holds what was verified of blobs, by digest. What a blob
    unpacks to never changes, so nothing in it ever becomes untrue.
    """

    def __init__(self) -> None:
        self.contents: dict[str, Content] = {}
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def alone(self, digest: str) -> AsyncIterator[None]:
        """Be the only one who fetches or looks into a blob; wait for the one who is."""
        lock, users = self._locks.get(digest, (asyncio.Lock(), 0))
        self._locks[digest] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            _, users = self._locks.pop(digest)
            if users > 1:
                self._locks[digest] = (lock, users - 1)

    def is_taken(self, digest: str) -> bool:
        """Whether somebody is at that blob now."""
        return digest in self._locks
