"""rename: give a container another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linwin.engine import attach, names
from linwin.errors import InvalidRequest

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def rename(engine: Engine, reference: str, name: str) -> None:
    """Raises InvalidRequest for a name that is none or its own, Conflict for one that is taken."""
    if not name:
        raise InvalidRequest("Neither old nor new names may be empty", hint="Use rename?name=NAME.")
    container, name = await engine.rooms.state.get(reference), names.check(name)
    if name == container.name:
        raise InvalidRequest(
            "Renaming a container with the same name as its current name", hint="Choose another name."
        )
    async with (
        engine.networks.lock
    ):  # what is allotted meanwhile has the old name, and is told of the new one
        renamed = await engine.rooms.state.rename(container.id, name)
    await attach.rename(engine, renamed)
    engine.events.container(renamed, "rename", oldName=f"/{container.name}")
