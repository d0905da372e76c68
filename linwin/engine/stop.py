"""stop and kill: ask a container to end, then make it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from linwin.engine import signals
from linwin.engine.live import Run
from linwin.errors import Conflict, Unavailable
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

DEFAULT_TIMEOUT = 30
"""Seconds between asking and forcing; docker's value for Windows containers."""
FORCE_TIMEOUT = 15.0
"""Seconds in which a guest must have ended a killed program, before its machine is ended."""


async def stop(engine: Engine, reference: str, timeout: int | None, signal: str) -> bool:
    """Ask with the container's stop signal, force after ``timeout`` seconds, return when it is at rest."""
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    async with live.lock:
        run = live.run
        if run is None:
            return False
        container = await engine.rooms.state.get(container.id)
        if container.status == "running":
            container = await engine.rooms.state.advance(container.id, "stopping")
    await _signal_then_kill(run, container, _limit(container, timeout), signal)
    await asyncio.shield(run.over)
    return True


async def kill(engine: Engine, reference: str, signal: str) -> None:
    """Send a signal; after KILL, return when the container is at rest."""
    container = await engine.rooms.state.get(reference)
    name = signals.parse(signal)
    run = engine.live(container.id).run
    if run is None:
        raise Conflict(
            f"cannot kill container: {reference}: container {container.id} is not running",
            hint="Start it first, or remove it with rm.",
        )
    if name == "KILL":
        await force(run)
        await asyncio.shield(run.over)
    else:
        await run.process.signal(name)


async def force(run: Run) -> None:
    """End the program; where its guest does not answer, end the machine."""
    try:
        async with asyncio.timeout(FORCE_TIMEOUT):
            await run.process.signal("KILL")
            await run.process.wait()
    except (TimeoutError, Unavailable):
        await run.machine.quit()


def _limit(container: Container, timeout: int | None) -> float | None:
    chosen = timeout if timeout is not None else container.spec.stop_timeout
    if chosen is None:
        chosen = DEFAULT_TIMEOUT
    return None if chosen < 0 else float(chosen)


async def _signal_then_kill(run: Run, container: Container, limit: float | None, signal: str) -> None:
    try:
        async with asyncio.timeout(limit):
            await run.process.signal(signals.parse(signal or container.spec.stop_signal or "TERM"))
            await run.process.wait()
    except (TimeoutError, Unavailable):
        await force(run)
