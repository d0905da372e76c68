"""Changes of something that is not ours alone to leave half-made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Awaitable[T]) -> T:
    """Carry out what nobody may clean up under: a caller that is cancelled waits for its end first."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody hears it any more
        raise


class Turns:
    """One change after the other, each to its end: a caller that is cancelled leaves no half of it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held by the change whose turn it is."""
        self._changes: set[asyncio.Task[Any]] = set()

    async def take(self, change: Awaitable[T]) -> T:
        """Carry a change out when it is its turn. Raises what it does."""

        async def alone() -> T:
            async with self.lock:
                return await change

        task = asyncio.create_task(alone())
        self._changes.add(task)  # the loop alone would not keep it
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)
