"""recover: what a new daemon does about containers that an earlier one left under way."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from linwin.daemon_log import about
from linwin.engine import connections, health, pause, remove, restarts, stop, unreadable, watch
from linwin.engine.live import LOST, Run
from linwin.engine.pool import own
from linwin.engine.start import abandon, at_rest, process_id
from linwin.engine.stop import UNDER_WAY
from linwin.errors import LinwinError, NotFound
from linwin.model.container import Container
from linwin.model.machine import MachineSpec

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

LOST_MESSAGE = "the container's guest ended while no daemon was running"
ADOPT_TIMEOUT = 30.0
"""Seconds in which a guest that runs already must answer a new daemon."""


async def recover(engine: Engine) -> None:
    """Adopt running guests, finish announced removals, put the rest to rest; start what its policy wants."""
    await asyncio.gather(*(_recover(engine, container) for container in await engine.rooms.state.list()))
    await engine.networks.apply_later()  # some of them have ended
    await _share_again(engine)
    await restarts.bring_back(engine)


async def _share_again(engine: Engine) -> None:
    """Go on sharing what an earlier daemon shared with containers that still run."""
    running = {one.short_id for one in await engine.rooms.state.list() if one.status in UNDER_WAY}
    if await engine.rooms.shares.unavailable():
        return  # nothing was shared, and create says why nothing can be
    try:
        await engine.rooms.shares.recover(running)
    except LinwinError as error:  # the containers run on, and wait for their files
        logger.error("what containers have mounted is not shared: %s", error)
        engine.metrics.failed("recover", error)


async def _recover(engine: Engine, container: Container) -> None:
    with about(container.id):
        await _put_right(engine, container)


async def _put_right(engine: Engine, container: Container) -> None:
    try:
        if container.status == "removing":
            await remove.finish(engine, container, volumes=container.spec.auto_remove)
        elif container.status in UNDER_WAY:
            await _take_over(engine, container)
        elif container.unreadable:
            unreadable.tell(container)
        elif container.status == "exited" and container.spec.auto_remove:
            await remove.auto_remove(engine, container)
        else:
            # What was being copied into it when the daemon died has not happened.
            await asyncio.to_thread(engine.paths.unfinished_overlay(container.id).unlink, missing_ok=True)
    except LinwinError as error:
        logger.error("container %s could not be recovered: %s", container.short_id, error)
        engine.metrics.failed("recover", error)
    except Exception as defect:  # one container must not keep the daemon from the others
        logger.exception("container %s could not be recovered", container.short_id)
        engine.metrics.failed("recover", defect)


async def _take_over(engine: Engine, container: Container) -> None:
    run = await _adopt(engine, container)
    if run is None:
        await _lay_to_rest(engine, container)
        return
    async with engine.live(container.id).lock:  # or an end might be recorded, and be taken back, meanwhile
        watch.begin(engine, container, run)  # first: whatever else fails, a guest that runs is watched
        if container.status == "starting":
            await engine.rooms.state.advance(
                container.id, "running", started_at=time.time_ns(), health=health.at_start(container)
            )
        await pause.set_clock(container, run)
        await _mend(engine, container, run)
    if container.status == "paused":
        await pause.halt(run)
    health.begin(engine, await engine.rooms.state.get(container.id), run)
    logger.info("container %s: its running guest was adopted", container.short_id)
    if container.status == "stopping":
        await stop.force(run)


async def _mend(engine: Engine, container: Container, run: Run) -> None:
    try:
        await connections.mend(engine, container, run)
    except LinwinError as error:  # the next daemon finds it again
        logger.error("container %s: its networks were not put right: %s", container.short_id, error)
        engine.metrics.failed("recover", error)


async def _adopt(engine: Engine, container: Container) -> Run | None:
    """The container's run if its machine, its agent and its process still live."""
    rooms = engine.rooms
    # Not by its template, which may have been removed, or be of no use to this version of linwin.
    spec = MachineSpec.of_running(container.id, engine.paths.machine(container.id))
    machine = await rooms.machine.adopt(spec, container.pid)
    if machine is None:
        return None
    try:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(machine.quit)
            if container.status == "paused":
                await machine.resume()  # to be talked to; it is halted again below
            guest = await rooms.guest.connect(machine, timeout=ADOPT_TIMEOUT)
            undo.push_async_callback(guest.close)
            log = rooms.state.log(container)
            undo.push_async_callback(log.finish)
            logged = await log.begin(container.starts)
            process = await guest.adopt(
                process_id(container), stdout=logged["stdout"], stderr=logged["stderr"]
            )
            if process is None:
                return None
            undo.pop_all()
            return Run(machine, guest, process)
    except LinwinError as error:
        logger.warning("container %s: its guest could not be adopted: %s", container.short_id, error.message)
        return None


async def _lay_to_rest(engine: Engine, container: Container) -> None:
    """Say that a run is over which nobody saw end."""
    if container.status == "starting":
        await asyncio.to_thread(abandon, engine, container)
        await engine.rooms.state.advance(
            container.id, at_rest(container), pid=0, error=LOST_MESSAGE, attachments=()
        )
        # A guest of the pool may have given its user to the record and not yet to the disk.
        await asyncio.to_thread(own, engine.paths.overlay(container.id), container.uid)
    else:
        await engine.rooms.state.advance(
            container.id,
            "exited",
            pid=0,
            exit_code=LOST,
            error=LOST_MESSAGE,
            finished_at=time.time_ns(),
            attachments=(),
        )
    if container.spec.auto_remove:
        await remove.auto_remove(engine, container)


async def release(engine: Engine) -> None:
    """Stop every container, and those whose start is under way; what an orderly end of the daemon does."""
    engine.closing = True
    for live in engine.lives():
        live.interrupted.set()
    # What is waited for may be a restart that had begun, and then leaves a run to be stopped.
    tasks = None
    while tasks is None or tasks:
        under_way = [container for container in await engine.list() if container.status in UNDER_WAY]
        await asyncio.gather(*(_release(engine, container) for container in under_way))
        tasks = [task for task in engine.watching() if not task.done()]
        await asyncio.gather(*tasks, return_exceptions=True)


async def _release(engine: Engine, container: Container) -> None:
    with about(container.id):
        try:
            await engine.stop(container.id, timeout=None)
        except NotFound:
            return  # removed meanwhile
        except LinwinError as error:
            logger.error("container %s did not stop: %s", container.short_id, error)
            if run := engine.live(container.id).run:
                await run.machine.quit()
