"""remove: forget a container and everything on disk that was its own."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from linwin.engine.live import Exit
from linwin.engine.stop import kill
from linwin.errors import Conflict
from linwin.model.container import Container, WaitCondition

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def remove(engine: Engine, reference: str, *, force: bool) -> None:
    """Remove a container at rest, or with ``force`` a running one, which is killed first."""
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    if force and live.run is not None:
        await kill(engine, container.id, "KILL")
    async with live.lock:
        container = await engine.rooms.state.get(container.id)
        if container.status in ("running", "stopping", "starting"):
            raise Conflict(
                f'cannot remove container "/{container.name}": container is running',
                hint="Stop the container before removing it, or force the removal with -f.",
            )
        container = await engine.rooms.state.advance(container.id, "removing")
        await finish(engine, container)


async def finish(engine: Engine, container: Container) -> None:
    """Carry out a removal that the state already announces."""
    await asyncio.to_thread(_delete_tree, engine.paths.container(container.id))
    await engine.rooms.state.delete(container.id)
    live = engine.forget(container.id)
    live.streams.end()
    for condition in get_args(WaitCondition):
        live.waiters.release(condition, Exit(container.exit_code, container.error))


def _delete_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
