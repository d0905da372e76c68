"""copy-up: a new volume begins with what the image has at its path, as docker's do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from linwin.engine import sharing
from linwin.errors import NotFound
from linwin.model.container import Container
from linwin.model.files import parse_folder

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def fill(engine: Engine, container: Container) -> None:
    """Fill the empty volumes of a container that never ran. Its disk is there, and at rest."""
    if container.started_at:
        return
    for mount in sharing.shared(container):
        if mount.kind == "volume" and mount.copy and mount.target.startswith("C:"):
            await _fill(engine, container, mount.source, mount.target)


async def _fill(engine: Engine, container: Container, volume: str, target: str) -> None:
    files = engine.rooms.disks.files(engine.paths.overlay(container.id))
    path = dataclasses.replace(parse_folder(target), base=".", is_folder=True)
    try:
        found = await files.stat(path)
    except NotFound:
        return  # the image has nothing there
    if found.is_directory:
        await engine.rooms.shares.fill(engine.paths.volume(volume), files.read(path))
