"""restart: stop a container as its user would, and start it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def restart(engine: Engine, reference: str, timeout: int | None, signal: str) -> None:
    """Stop it, if it runs, and start it. One that is removed when it ends is kept this time."""
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    live.restarts += 1
    try:
        await engine.stop(container.id, timeout=timeout, signal=signal)
        await engine.start(container.id)
        engine.events.container(await engine.rooms.state.get(container.id), "restart")
    finally:
        live.restarts -= 1
