"""Restart policies: what is started again, when, and what ends that.

The rules and times are docker's. A container that waits for its restart is
``restarting``: its run is over, its machine gone, and a task of ours waits.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

from linwin.daemon_log import about, context_about
from linwin.engine import start
from linwin.engine.live import Exit, Live
from linwin.engine.policy import next_delay, wanted
from linwin.errors import LinwinError, NotFound, Unavailable
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

FAILED_START = 128
"""Docker's exit code of a container that could not be started."""
AT_ONCE = max(2, os.cpu_count() or 1)
"""How many guests may be started by policy at the same time."""


async def follow(engine: Engine, container: Container, *, at_once: bool = False) -> None:
    """Start a ``restarting`` container when its time has come; ``at_once`` does not wait first."""
    live = engine.live(container.id)
    live.delay = 0.0 if at_once else next_delay(live.delay, _ran(container))
    while not engine.closing:
        if not await engine.timing.elapsed(live.delay, live.interrupted):
            return
        async with engine.restarting_slots:
            if not await _start(engine, container.id, live):
                return
        live.delay = next_delay(live.delay, 0)


async def give_up(engine: Engine, container_id: str) -> bool:
    """End the wait of a restarting container for good; False where it is none. Called with its lock held."""
    container = await engine.rooms.state.get(container_id)
    if container.status != "restarting":
        return False
    await _rest(engine, container, stopped_by_hand=True)
    return True


async def reconsider(engine: Engine, container_id: str) -> None:
    """Its policy has changed: end a wait that is no longer wanted. Called with its lock held."""
    container = await engine.rooms.state.get(container_id)
    if container.status == "restarting" and container.spec.restart.name == "no":
        await _rest(engine, container)


async def bring_back(engine: Engine) -> None:
    """Note what a new daemon has to start, and start it in the background."""
    for container in await engine.rooms.state.list():
        failed = container.exit_code or (1 if container.error else 0)
        if container.status == "exited" and container.started_at and wanted(container, failed):
            try:
                container = await engine.rooms.state.advance(container.id, "restarting")
            except LinwinError as error:  # one container must not keep the daemon from the others
                with about(container.id):
                    logger.error("container %s is not started again: %s", container.short_id, error)
        live = engine.live(container.id)
        # One that was adopted, and has ended since, is followed by its own watch.
        if container.status == "restarting" and (live.task is None or live.task.done()):
            live.task = asyncio.create_task(
                follow(engine, container, at_once=True),
                name=f"bring back {container.short_id}",
                context=context_about(container.id),
            )


async def _start(engine: Engine, container_id: str, live: Live) -> bool:
    """Start it, unless something came between; True where it is to be tried again later."""
    async with live.lock:
        try:
            container = await engine.rooms.state.get(container_id)
        except NotFound:
            return False
        if container.status != "restarting" or engine.closing:
            return False
        try:
            await start.start(engine, container, lambda sentence: _tell(container, sentence), by_hand=False)
        except Unavailable as error:  # of this host, which may have room later
            logger.warning("container %s was not restarted: %s", container.short_id, error)
            engine.metrics.failed("restart", error)
            return await _try_again(engine, container_id, error.message)
        except LinwinError as error:
            logger.error("container %s cannot be restarted: %s", container.short_id, error)
            engine.metrics.failed("restart", error)
            why = error.message
        except Exception as defect:
            logger.exception("container %s was not restarted", container.short_id)
            engine.metrics.failed("restart", defect)
            why = repr(defect)
        else:
            return False
        container = await engine.rooms.state.get(container_id)
        if container.status == "restarting":  # nothing of the start had begun that could be taken back
            await _rest(engine, container, error=why)
        return False


async def _try_again(engine: Engine, container_id: str, why: str) -> bool:
    """Let a start that failed count as a run that failed."""
    container = await engine.rooms.state.get(container_id)
    if engine.closing:
        return False
    if not wanted(container, container.exit_code or FAILED_START):
        if container.status == "restarting":
            await _rest(engine, container, error=why)
        return False
    count = container.restart_count + 1
    if container.status == "restarting":  # it was refused before it began
        await engine.rooms.state.amend(container_id, restart_count=count, error=why)
    else:
        await engine.rooms.state.advance(container_id, "restarting", restart_count=count)
    engine.live(container_id).interrupted.clear()
    return True


async def _rest(engine: Engine, container: Container, **changes: object) -> None:
    live = engine.live(container.id)
    await engine.rooms.state.advance(container.id, "exited", **changes)
    live.interrupted.set()
    for condition in ("not-running", "next-exit"):
        live.waiters.release(condition, Exit(container.exit_code, container.error))


def _ran(container: Container) -> float:
    return (container.finished_at - container.started_at) / 1e9


def _tell(container: Container, sentence: str) -> None:
    logger.info("container %s: %s", container.short_id, sentence)
