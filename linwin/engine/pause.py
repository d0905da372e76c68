"""pause and unpause: halt a container's machine, and let it go on."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from linwin.engine import policy
from linwin.engine.live import Run
from linwin.errors import Conflict, LinwinError
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


async def pause(engine: Engine, reference: str) -> None:
    """Raises Conflict, in docker's words, for a container that does not run or is paused already."""
    container = await engine.rooms.state.get(reference)
    async with engine.live(container.id).lock:
        container = await engine.rooms.state.get(container.id)
        run = engine.live(container.id).run
        if container.status == "paused":
            raise Conflict(
                f"Container {container.id} is already paused",
                hint=f"Let it go on: linwin unpause {container.name}",
            )
        policy.refuse(container)
        if run is None or container.status != "running":
            stopping = container.status == "stopping"
            raise Conflict(
                f"container {container.id} is {'stopping' if stopping else 'not running'}",
                hint="Only a running container is paused.",
            )
        container = await engine.rooms.state.advance(container.id, "paused")
        if run.monitor is not None:
            await run.monitor.rest()
        await halt(run)
        engine.events.container(container, "pause")


async def unpause(engine: Engine, reference: str) -> None:
    """Raises Conflict, in docker's words, for a container that is not paused."""
    container = await engine.rooms.state.get(reference)
    async with engine.live(container.id).lock:
        if not await wake(engine, await engine.rooms.state.get(container.id)):
            raise Conflict(f"Container {container.id} is not paused", hint="Only a paused container goes on.")


async def wake(engine: Engine, container: Container) -> bool:
    """Let a paused container go on; False where it was not paused. Called with its lock held."""
    run = engine.live(container.id).run
    if container.status != "paused" or run is None:
        return False
    await run.wake()
    await set_clock(container, run)
    container = await engine.rooms.state.advance(container.id, "running")
    if run.monitor is not None:
        run.monitor.begin()
    engine.events.container(container, "unpause")
    return True


async def set_clock(container: Container, run: Run) -> None:
    """Tell the guest what time it is: its clock stood still with its machine. It goes on in any case."""
    try:
        await run.guest.set_clock(time.time_ns())
    except LinwinError as error:
        logger.warning("container %s: its clock is behind: %s", container.short_id, error)


async def halt(run: Run) -> None:
    """Halt the machine; from now on its guest's silence means nothing."""
    run.guest.rest(True)
    run.paused = True
    await run.machine.pause()


_SUBJECT = {"exec": "Container"}
"""Docker's own capital."""


def refuse(container: Container, verb: str) -> None:
    """Raise Conflict, in docker's words, for a container that is paused, or between two runs."""
    policy.refuse(container)
    if container.status == "paused":
        subject = _SUBJECT.get(verb, "container")
        raise Conflict(
            f"{subject} {container.id} is paused, unpause the container before {verb}",
            hint=f"linwin unpause {container.name}",
        )
