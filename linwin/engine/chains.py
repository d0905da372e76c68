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
        self._changed = asyncio.Condition()
        self._users = 0

    @asynccontextmanager
    async def using(self) -> AsyncIterator[None]:
        """Hold from before a chain is asked for until something durable names it."""
        async with self._changed:
            self._users += 1
        try:
            yield
        finally:
            async with self._changed:
                self._users -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def pruning(self) -> AsyncIterator[None]:
        """Hold while chains are chosen and deleted; waits for users, and keeps new ones out."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._users == 0)
            yield
