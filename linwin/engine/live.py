"""What the daemon holds in memory for each container."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linwin.engine.interfaces import Guest, Machine, Process
from linwin.engine.stats import Sampler
from linwin.engine.streams import Streams
from linwin.model.container import Container, WaitCondition

if TYPE_CHECKING:
    from linwin.engine.health import Monitor

LOST = 255
"""The exit code of a container whose guest was lost."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended: docker's exit code and, when its guest was lost, why."""

    code: int
    error: str = ""


@dataclass(slots=True)
class Run:
    """One run of a container, from start to exit."""

    machine: Machine
    guest: Guest
    process: Process
    paused: bool = False
    asked_to_end: bool = False
    """Somebody stops or kills it: whatever its restart policy, this end is final."""
    ended: Container | None = None
    """The container as its end was recorded: it may have been renamed since the end was asked for."""
    again: bool = False
    """Its end is recorded as a restart."""
    monitor: Monitor | None = None
    """Of its health, where it has a check."""
    over: asyncio.Future[Exit] = field(default_factory=asyncio.Future)
    """Resolves when the run has been cleaned up and the state says so, or raises why it does not say so."""

    async def wake(self) -> None:
        """Let a paused machine go on, so that its guest can be talked to."""
        if self.paused:
            await self.machine.resume()
            self.guest.rest(False)
            self.paused = False


class Waiters:
    """Clients that wait for a container to change."""

    def __init__(self) -> None:
        self._waiting: dict[WaitCondition, set[asyncio.Future[Exit]]] = defaultdict(set)

    def register(self, condition: WaitCondition) -> asyncio.Future[Exit]:
        waiter: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._waiting[condition].add(waiter)
        waiter.add_done_callback(lambda done: self._waiting[condition].discard(done))
        return waiter

    def release(self, condition: WaitCondition, exit_: Exit) -> None:
        for waiter in tuple(self._waiting[condition]):
            if not waiter.done():
                waiter.set_result(exit_)


class Live:
    """One container's lock, streams, waiters and, while it runs, its run.

    ``lock`` is held by every verb that changes the container's state while it
    does so, never while it waits for the container to end by itself.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.streams = Streams()
        self.waiters = Waiters()
        self.run: Run | None = None
        self.coming_up: Machine | None = None
        """A machine whose agent has not said hello yet."""
        self._may_be_given_up = False
        self.task: asyncio.Task[None] | None = None
        self.interrupted = asyncio.Event()
        """Set to end a wait between two restarts by policy."""
        self.delay = 0.0
        """Seconds that the last such wait was to take."""
        self.restarts = 0
        """Restarts under way: an end is none, then, that auto-removal waits for."""
        self.sampler = Sampler(self)
        self.console_size = (0, 0)
        """Rows and columns that a client asked for last."""

    @contextmanager
    def looked_at(self, machine: Machine, *, takes_long: bool) -> Iterator[None]:
        """While its guest comes up, let the machine's console and screen be seen.

        A start that ``takes_long`` may be given up.
        """
        self.coming_up, self._may_be_given_up = machine, takes_long
        try:
            yield
        finally:
            self.coming_up, self._may_be_given_up = None, False

    async def give_up_start(self) -> bool:
        """End the machine of a guest that takes long to come up, whose start fails then; False for others."""
        if self.coming_up is None or not self._may_be_given_up:
            return False
        await self.coming_up.quit()
        return True
