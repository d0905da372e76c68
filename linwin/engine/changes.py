"""changes: what docker diff shows of a container."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from linwin.engine import stop
from linwin.errors import Conflict
from linwin.model.files import Change

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def changes(engine: Engine, reference: str) -> Sequence[Change]:
    """What differs between the container's files and its image's.

    Raises Conflict, in docker's words, while it runs: its guest has not written everything out.
    """
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    async with live.lock:
        container = await stop.settle(engine, await engine.rooms.state.get(container.id))
        if live.run is not None:
            raise Conflict(
                "Windows does not support diff of a running container",
                hint=f"Stop it first: linwin stop {container.name}",
            )
        overlay = engine.paths.overlay(container.id)
        if not await asyncio.to_thread(overlay.exists):
            return ()  # it never started, and nothing was copied into it
        return await engine.rooms.disks.changes(overlay)
