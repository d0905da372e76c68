"""stop and kill: ask a container to end, then make it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from linwin.engine import attach, pause, policy, restarts, signals
from linwin.engine.live import LOST, Run
from linwin.errors import Conflict, LinwinError
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

DEFAULT_TIMEOUT = 30
"""Seconds between asking and forcing; docker's value for Windows containers."""
UNDER_WAY = frozenset({"starting", "running", "paused", "stopping"})
"""What a container is while it has, or is getting, a machine."""
FORCE_TIMEOUT = 15.0
"""Seconds in which a guest must have ended a killed program, before its machine is ended."""


async def stop(engine: Engine, reference: str, timeout: int | None, signal: str) -> bool:
    """Ask with the container's stop signal, force after ``timeout`` seconds, return when it is at rest."""
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    await live.give_up_start()
    async with live.lock:
        run = live.run
        if run is None:
            return await restarts.give_up(engine, container.id)
        # A signal that does not exist must be refused before the container counts as stopping.
        name = signals.parse(signal or container.spec.stop_signal or "TERM")
        container = await engine.rooms.state.get(container.id)
        await pause.wake(engine, container)
        container = await engine.rooms.state.get(container.id)
        run.asked_to_end = True
        by_hand = container.stopped_by_hand or not engine.closing
        if container.status == "running":
            container = await engine.rooms.state.advance(container.id, "stopping", stopped_by_hand=by_hand)
        elif by_hand:
            container = await engine.rooms.state.amend(container.id, stopped_by_hand=True)
    await _signal_then_kill(engine, container, run, _limit(container, timeout), name)
    await asyncio.shield(run.over)
    engine.events.container(run.ended or container, "stop")
    return True


async def kill(engine: Engine, reference: str, signal: str) -> None:
    """Send a signal; after KILL, return when the container is at rest.

    One that waits for its restart is at rest then, whatever the signal.
    """
    container = await engine.rooms.state.get(reference)
    name = signals.parse(signal)
    live = engine.live(container.id)
    gave_up = await live.give_up_start()
    if gave_up or policy.under_way(container):
        async with live.lock:  # a start by policy that was given up would be tried again
            if await restarts.give_up(engine, container.id) or gave_up:
                return
    run = live.run
    if run is None:
        raise Conflict(
            f"cannot kill container: {reference}: container {container.id} is not running",
            hint="Start it first, or remove it with rm.",
        )
    # As docker: a signal other than the one that its user chose to stop it with may not be to end it.
    # What a stop that is under way has asked for is not taken back.
    run.asked_to_end |= name in ("KILL", signals.parse(container.spec.stop_signal or name))
    await engine.rooms.state.amend(container.id, stopped_by_hand=True)
    if name == "KILL":
        await end(engine, container, run)
        return
    async with live.lock:
        await pause.wake(engine, await engine.rooms.state.get(container.id))
    await run.process.signal(name)
    _tell(engine, container, name)


async def end(engine: Engine, container: Container, run: Run) -> None:
    """End a run and return when its container is at rest."""
    _tell(engine, container, "KILL")
    run.asked_to_end = True
    await force(run)
    await asyncio.shield(run.over)


async def settle(engine: Engine, container: Container) -> Container:
    """Put a container to rest whose end could not be recorded when it came. Called with its lock held."""
    if engine.live(container.id).run is not None or container.status not in UNDER_WAY:
        return container
    settled = await engine.rooms.state.advance(
        container.id,
        "exited",
        pid=0,
        exit_code=LOST,
        error="the container's end could not be recorded",
        finished_at=time.time_ns(),
        attachments=(),
    )
    await attach.release(engine, container)
    return settled


async def force(run: Run) -> None:
    """End the program; where its guest does not answer, end the machine."""
    try:
        async with asyncio.timeout(FORCE_TIMEOUT):
            await run.wake()
            await run.process.signal("KILL")
            await run.process.wait()
    except (TimeoutError, LinwinError):
        await run.machine.quit()


def _limit(container: Container, timeout: int | None) -> float | None:
    chosen = timeout if timeout is not None else container.spec.stop_timeout
    if chosen is None:
        chosen = DEFAULT_TIMEOUT
    return None if chosen < 0 else float(chosen)


async def _signal_then_kill(
    engine: Engine, container: Container, run: Run, limit: float | None, signal: str
) -> None:
    _tell(engine, container, signal)
    try:
        async with asyncio.timeout(limit):
            await run.process.signal(signal)
            await run.process.wait()
    except (TimeoutError, LinwinError):
        if signal != "KILL":
            _tell(engine, container, "KILL")
        await force(run)


def _tell(engine: Engine, container: Container, signal: str) -> None:
    engine.events.container(container, "kill", signal=str(signals.NUMBER[signal]))
