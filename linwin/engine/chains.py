"""Keeps the pruning of chains away from chains that nothing on disk names yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ChainUse:
    """Many may build and use chains at once; whoever prunes does so alone.

    Between the moment a chain is built and the moment an image, a container or
    an overlay names it, only its builder knows that it is needed.
    """

    def __init__(self) -> None:
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self._unpruned = asyncio.Event()
        self._unpruned.set()

    @asynccontextmanager
    async def using(self) -> AsyncIterator[None]:
        """Hold from before a chain is asked for until something durable names it."""
        while not self._unpruned.is_set():
            await self._unpruned.wait()
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:  # nothing is awaited here: a cancelled user must not be counted for ever
            self._users -= 1
            if not self._users:
                self._unused.set()

    @asynccontextmanager
    async def pruning(self) -> AsyncIterator[None]:
        """Hold while chains are chosen and deleted; waits for users, and keeps new ones out."""
        while self._users or not self._unpruned.is_set():
            await self._unused.wait()
            await self._unpruned.wait()
        self._unpruned.clear()
        try:
            yield
        finally:
            self._unpruned.set()
