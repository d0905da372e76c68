"""Work that outlives the client that asked for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from linwin.errors import LinwinError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Lifetime:
    """Changes under way. A client that hangs up does not leave one half done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def complete(self, change: Coroutine[Any, Any, T]) -> T:
        """Run ``change`` to its end, whether or not the caller is cancelled meanwhile."""
        task = asyncio.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_log_failure)
            raise

    async def drain(self, limit: float) -> None:
        """Let the changes under way end; those that take longer than ``limit`` seconds are cancelled."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=limit)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def _log_failure(task: asyncio.Task[Any]) -> None:
    """Report a failure that no client is left to hear of."""
    if task.cancelled() or (error := task.exception()) is None:
        return
    if isinstance(error, LinwinError):
        logger.warning("after the client hung up: %s", error)
    else:
        logger.error("after the client hung up", exc_info=error)
