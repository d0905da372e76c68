"""Time that passes when a test says so."""

from __future__ import annotations

import asyncio

from linwin.engine.timing import Timing


class FakeTiming(Timing):
    """Every wait is announced in ``waits``, in seconds, and ends when :meth:`advance` has come so far."""

    def __init__(self) -> None:
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self._now = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def elapsed(self, seconds: float, interrupted: asyncio.Event) -> bool:
        due = asyncio.Event()
        sleeper = (self._now + seconds, due)
        self._sleepers.append(sleeper)
        self.waits.put_nowait(seconds)
        events = [asyncio.ensure_future(event.wait()) for event in (due, interrupted)]
        try:
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for event in events:
                event.cancel()
            self._sleepers.remove(sleeper)
        return due.is_set()

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for when, due in self._sleepers:
            if when <= self._now:
                due.set()
