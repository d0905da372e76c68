"""Health checks: a container that runs is asked, time and again, whether it works.

The rules, times and sentences are docker's. A check is a program of its own in
the guest that ends with the session that started it, so that none is left behind
by a daemon that dies. The last results live in memory; the status is in the state.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from linwin.daemon_log import context_about
from linwin.engine import command
from linwin.engine.interfaces import Process
from linwin.engine.live import Run
from linwin.errors import LinwinError
from linwin.model.container import Container
from linwin.model.guest import ProcessSpec
from linwin.model.health import HealthCheck, HealthReport, HealthStatus, ProbeResult

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

SECOND = 1_000_000_000
INTERVAL = 30 * SECOND
TIMEOUT = 30 * SECOND
START_INTERVAL = 5 * SECOND
RETRIES = 3
"""Docker's defaults."""
LARGEST_OUTPUT = 4096
"""Bytes that are kept of what one check prints."""
KEPT_RESULTS = 5
KILL_TIMEOUT = 10.0
"""Seconds that a check which is killed has to end."""


def merge(own: HealthCheck | None, image: HealthCheck | None) -> HealthCheck | None:
    """The user's check, what it leaves open taken from the image's."""
    if own is None or image is None:
        return own or image
    return HealthCheck(
        test=own.test or image.test,
        interval=own.interval or image.interval,
        timeout=own.timeout or image.timeout,
        start_period=own.start_period or image.start_period,
        start_interval=own.start_interval or image.start_interval,
        retries=own.retries or image.retries,
    )


def enabled(check: HealthCheck | None) -> bool:
    """Whether there is something to be run."""
    return check is not None and len(check.test) > 1 and check.test[0] in ("CMD", "CMD-SHELL")


def at_start(container: Container) -> HealthStatus:
    """The status of a container that has just been started."""
    return "starting" if enabled(container.health_check) else ""


def at_end(container: Container) -> HealthStatus:
    """The status of a container that does not run."""
    return "unhealthy" if enabled(container.health_check) else ""


def judge(
    check: HealthCheck, status: HealthStatus, streak: int, result: ProbeResult, started_at: int
) -> tuple[HealthStatus, int]:
    """Status and failing streak after a result; failures of the start period do not count."""
    if result.exit_code == 0:
        return "healthy", 0
    if status == "starting" and result.started_at - started_at < check.start_period:
        return status, streak
    streak += 1
    return ("unhealthy" if streak >= (check.retries or RETRIES) else status), streak


def pause_before_next(check: HealthCheck, status: HealthStatus, running_for: int) -> float:
    """Seconds until the next check of a container that has run for so many nanoseconds."""
    starting = status == "starting" and running_for < check.start_period
    return ((check.start_interval or START_INTERVAL) if starting else (check.interval or INTERVAL)) / SECOND


class Monitor:
    """The checks of one run of a container, between its start and its end."""

    def __init__(self, engine: Engine, container: Container, check: HealthCheck, run: Run) -> None:
        self._engine = engine
        self._container = container
        self._check = check
        self._run = run
        self._status = container.health
        self._streak = 0
        self._log: deque[ProbeResult] = deque(maxlen=KEPT_RESULTS)
        self._task: asyncio.Task[None] | None = None

    @property
    def report(self) -> HealthReport:
        return HealthReport(self._status, self._streak, tuple(self._log))

    def begin(self) -> None:
        """Check from now on, as long as :meth:`rest` is not called."""
        if self._task is None:
            self._task = asyncio.create_task(
                self._check_for_ever(),
                name=f"health {self._container.short_id}",
                context=context_about(self._container.id),
            )

    async def rest(self) -> None:
        """Check no more, and leave no check running."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _check_for_ever(self) -> None:
        while True:
            running_for = time.time_ns() - self._container.started_at
            seconds = pause_before_next(self._check, self._status, running_for)
            await self._engine.timing.elapsed(seconds, asyncio.Event())
            try:
                await self._take(await self._probe())
            except LinwinError as error:
                logger.warning("container %s: its health was not noted: %s", self._short_id, error)
            except Exception:  # a defect of ours must not end the checks unseen
                logger.exception("container %s: a health check was given up", self._short_id)

    @property
    def _short_id(self) -> str:
        return self._container.short_id

    async def _take(self, result: ProbeResult) -> None:
        self._log.append(result)
        before = self._status
        self._status, self._streak = judge(
            self._check, self._status, self._streak, result, self._container.started_at
        )
        if self._status != before:
            await self._engine.health_changed(self._container, self._status)

    async def _probe(self) -> ProbeResult:
        started_at, seconds = time.time_ns(), (self._check.timeout or TIMEOUT) / SECOND
        probe = Probe(self._run, probe_spec(self._container, self._check))
        working = asyncio.create_task(probe.carry_out(), name=f"check {self._short_id}")
        ended = asyncio.Event()
        working.add_done_callback(lambda _: ended.set())
        try:
            if not await self._engine.timing.elapsed(seconds, ended):
                return ProbeResult(started_at, time.time_ns(), working.result(), probe.output)
            sentence = f"Health check exceeded timeout ({go_duration(self._check.timeout or TIMEOUT)})"
            output = f"{sentence}: {probe.output}" if probe.output else sentence
            return ProbeResult(started_at, time.time_ns(), -1, output)
        except LinwinError as error:  # it did not start, or its guest was lost
            return ProbeResult(started_at, time.time_ns(), -1, error.message)
        finally:
            await probe.end(working)


class Probe:
    """One check: a program, and the beginning of what it prints."""

    def __init__(self, run: Run, spec: ProcessSpec) -> None:
        self._run = run
        self._spec = spec
        self._process: Process | None = None
        self._printed = b""
        self._cut = False

    @property
    def output(self) -> str:
        text = self._printed.decode(errors="replace")
        return text + "..." if self._cut else text

    async def carry_out(self) -> int:
        """Run it to its end. Raises LinwinError when it cannot be run."""
        self._process = process = await self._run.guest.spawn(f"health-{secrets.token_hex(8)}", self._spec)
        async for chunk in process.output():
            room = LARGEST_OUTPUT - len(self._printed)
            self._printed += chunk.data[:room]
            self._cut |= len(chunk.data) > room
            await process.acknowledge(chunk)
        return await process.wait()

    async def end(self, working: asyncio.Task[int]) -> None:
        """Kill what has not ended, and take in the rest of what it prints."""
        with suppress(TimeoutError, LinwinError):  # a guest that does not answer is somebody else's business
            async with asyncio.timeout(KILL_TIMEOUT):
                if not working.done() and self._process is not None:
                    await self._process.signal("KILL")
                    await asyncio.wait([working])
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def begin(engine: Engine, container: Container, run: Run) -> None:
    """Check the health of a run from now on, where its container has a check and is not paused."""
    if container.health_check is not None and enabled(container.health_check):
        run.monitor = Monitor(engine, container, container.health_check, run)
        if not run.paused:
            run.monitor.begin()


def report(engine: Engine, container: Container) -> HealthReport:
    """What inspect shows; of a container that does not run, its last status alone."""
    run = engine.live(container.id).run
    return run.monitor.report if run is not None and run.monitor else HealthReport(container.health)


def probe_spec(container: Container, check: HealthCheck) -> ProcessSpec:
    """The program that a check runs, in the container's own environment."""
    found = command.probe(check.test, container.shell)
    return command.in_container(container, found, transient=True)


def go_duration(nanoseconds: int) -> str:
    """Nanoseconds as Go writes durations: ``1m30s``, ``1.5s``, ``200ms``."""
    if nanoseconds < SECOND:
        return f"{nanoseconds / 1_000_000:g}ms"
    minutes, left = divmod(nanoseconds, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{left / SECOND:g}s"
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}" if minutes else seconds
