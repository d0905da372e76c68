"""docker-py blocks, so it is driven from threads while the daemon serves it from the test's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """Run blocking code in a thread."""
    return await asyncio.wait_for(asyncio.to_thread(work), 60)
