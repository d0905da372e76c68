"""top: what runs in a container now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linwin.engine import pause
from linwin.errors import Conflict
from linwin.model.usage import ProcessInfo

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def top(engine: Engine, reference: str) -> Sequence[ProcessInfo]:
    """Raises Conflict, in docker's words, for a container that does not run or is paused."""
    container = await engine.rooms.state.get(reference)
    pause.refuse(container, "top")
    run = engine.live(container.id).run
    if run is None:
        raise Conflict(
            f"container {container.id} is not running", hint=f"Start it first: linwin start {container.name}"
        )
    return await run.guest.processes()
