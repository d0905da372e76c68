"""stats: what a container's programs take, once a second and for as long as somebody watches."""

from __future__ import annotations

import asyncio
import logging
import time
from types import TracebackType
from typing import TYPE_CHECKING

from linwin.errors import LinwinError, Unavailable
from linwin.model.usage import Sample

if TYPE_CHECKING:
    from linwin.engine.live import Live, Run

logger = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two samples: docker's."""


class Sampler:
    """Asks one container's guest, and tells all who watch. It works while there is one.

    A container that does not run has no samples, and a paused one keeps its
    last: its counters stand still.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None
        self._last: tuple[Run, Sample] | None = None
        self._failing = False

    def watch(self) -> Watch:
        """To be entered as a context; the first sample comes at once."""
        return Watch(self)

    def end(self) -> None:
        """The container is no more: end all watches."""
        for watch in tuple(self._watches):
            watch.finish()

    def join(self, watch: Watch) -> None:
        """Called by :class:`Watch`."""
        self._watches.add(watch)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="stats")

    async def leave(self, watch: Watch) -> None:
        """Called by :class:`Watch`; the last one ends the work."""
        self._watches.discard(watch)
        if not self._watches and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            outcome = await self._outcome()
            for watch in self._watches:
                watch.tell(outcome)
            due = max(due + INTERVAL, loop.time())
            tick = loop.create_future()
            timer = loop.call_at(due, tick.set_result, None)
            try:
                await tick
            finally:
                timer.cancel()

    async def _outcome(self) -> Sample | LinwinError | None:
        """A sample, why there is none, or None for a container that does not run."""
        run = self._live.run
        if run is None:
            return None
        try:
            sample = await self._sample(run)
        except LinwinError as error:
            if self._live.run is not run:
                return None  # it ended while it was asked
            if not self._failing:
                logger.warning("stats: %s", error.message)
            self._failing = True
            return error
        self._failing = False
        return sample

    async def _sample(self, run: Run) -> Sample | None:
        last = self._last[1] if self._last is not None and self._last[0] is run else None
        if run.paused:
            return Sample(time.time_ns(), last.usage) if last is not None else None
        usage = await run.guest.stats()
        if last is not None and usage.cpu < last.usage.cpu:
            raise Unavailable("the guest's CPU time ran backwards", hint="Start the container again.")
        sample = Sample(time.time_ns(), usage)
        self._last = run, sample
        return sample


class Watch:
    """One client's view of a :class:`Sampler`. One that is slow gets the newest sample only."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._outcome: Sample | LinwinError | None = None
        self._changed = asyncio.Event()
        self.over = False
        """Whether the container is no more."""

    async def __aenter__(self) -> Watch:
        self._sampler.join(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._sampler.leave(self)

    async def next(self) -> Sample | None:
        """The next sample; None where the container does not run, or is no more.

        Raises Unavailable for a guest that does not tell, and may be asked again.
        """
        await self._changed.wait()
        outcome, self._outcome = self._outcome, None
        if not self.over:
            self._changed.clear()
        if isinstance(outcome, LinwinError):
            raise outcome
        return outcome

    def tell(self, outcome: Sample | LinwinError | None) -> None:
        """Called by :class:`Sampler`."""
        self._outcome = outcome
        self._changed.set()

    def finish(self) -> None:
        """Called by :class:`Sampler` when no more will come."""
        self.over = True
        self._changed.set()
