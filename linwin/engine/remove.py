"""remove: forget a container and everything on disk that was its own."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from linwin.engine import mounts, policy, stop, unreadable
from linwin.engine.live import Exit, Live
from linwin.errors import Conflict, LinwinError, NotFound, Unavailable
from linwin.model.container import Container, WaitCondition

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


async def remove(engine: Engine, reference: str, *, force: bool, volumes: bool = False) -> None:
    """Remove a container at rest, or with ``force`` a running one, which is killed first.

    With ``volumes`` those go too that it was given without a name and no other container uses.

    A start that is under way is waited for: what it will have made must go too. With ``force`` one that
    takes long is given up.
    Of several removals at once each succeeds, as each leaves no container.
    """
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    if force:
        await live.give_up_start()
    while not await _removed(engine, container.id, live, force=force, volumes=volumes):
        if live.run is not None:
            await stop.end(engine, container, live.run)


async def _removed(engine: Engine, container_id: str, live: Live, *, force: bool, volumes: bool) -> bool:
    """Remove a container unless it runs; False when it does, and is to be killed first."""
    if force and live.run is not None:
        return False
    async with live.lock:
        try:
            container = await stop.settle(engine, await engine.rooms.state.get(container_id))
        except NotFound:
            return True
        waiting = policy.under_way(container)
        if live.run is None and (force or not waiting):
            doomed = await engine.rooms.state.advance(container_id, "removing")
            live.interrupted.set()
            await finish(engine, doomed, volumes=volumes)
            return True
    if not force:
        what = "restarting" if waiting else "paused" if container.status == "paused" else "running"
        advice = (
            " and must be unpaused first"
            if what == "paused"
            else ": stop the container before removing or force remove"
        )
        raise Conflict(f'cannot remove container "/{container.name}": container is {what}{advice}')
    return False


async def auto_remove(engine: Engine, container: Container) -> None:
    """Do what ``--rm`` asked for. Nobody waits for an answer, so a failure is logged."""
    try:
        await remove(engine, container.id, force=False, volumes=True)
    except NotFound:
        logger.info("container %s: it was removed by somebody else first", container.short_id)
    except LinwinError as error:
        logger.error("container %s: it was not removed: %s", container.short_id, error)
        engine.metrics.failed("remove", error)


async def finish(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Carry out a removal that the state already announces; one that fails leaves the container dead."""
    await unreadable.end_machine(engine, container)
    try:
        await asyncio.to_thread(_delete_tree, engine.paths.container(container.id))
    except OSError as error:
        sentence = f'cannot remove container "/{container.name}": {error.filename}: {error.strerror}'
        await engine.rooms.state.advance(container.id, "dead", error=sentence)
        for condition in NOT_REMOVED:
            engine.live(container.id).waiters.release(condition, Exit(container.exit_code, sentence))
        raise Unavailable(
            sentence, hint=f"Put right what keeps the file, then try again: linwin rm {container.name}"
        ) from error
    if volumes:
        await mounts.remove_anonymous(engine, container)
    await engine.rooms.state.delete(container.id)
    engine.events.container(container, "destroy")
    live = engine.forget(container.id)
    live.streams.end()
    live.sampler.end()
    # Why it never ran is the answer of its start; docker's clients print this one as another error.
    exit_ = Exit(container.exit_code, container.error if container.started_at else "")
    for condition in get_args(WaitCondition):
        live.waiters.release(condition, exit_)


NOT_REMOVED: tuple[WaitCondition, ...] = ("removed", "not-running")
"""What a client may wait for that a failed removal ends."""


def _delete_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
