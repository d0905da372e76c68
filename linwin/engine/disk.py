"""disk: an image's C: as one file, for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.create import template_for
from linwin.model.progress import Report

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def disk(engine: Engine, reference: str, target: Path, report: Report) -> None:
    """Write the C: that the image's containers start with to ``target``, a qcow2 that needs no other file."""
    rooms = engine.rooms
    image = await rooms.images.resolve(reference)
    template = await template_for(engine, image)
    async with engine.chains.using():
        _, chain_end = await rooms.disks.chain(template, image.layers, report)
        await rooms.disks.flatten(chain_end, target, report)
