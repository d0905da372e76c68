"""Waiting for time to pass: the one place, so that tests need not wait themselves."""

from __future__ import annotations

import asyncio


class Timing:
    """The passing of real time."""

    async def elapsed(self, seconds: float, interrupted: asyncio.Event) -> bool:
        """Wait so many seconds and return True, or return False as soon as ``interrupted`` is set."""
        try:
            async with asyncio.timeout(seconds):
                await interrupted.wait()
            return False
        except TimeoutError:
            return True
