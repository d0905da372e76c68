"""load and rmi: images in and out, with their chains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import prune
from linwin.engine.create import template_for
from linwin.engine.interfaces import StagedImage
from linwin.model.image import Image, Removed
from linwin.model.progress import Report

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def load(engine: Engine, archive: Path, report: Report) -> list[Image]:
    """Read an archive and build its images' chains; none becomes visible before all are ready."""
    rooms = engine.rooms
    size = (await asyncio.to_thread(archive.stat)).st_size
    staged = await rooms.images.stage(archive, await rooms.templates.list(), report)
    loaded = await take_in(engine, staged, report)
    engine.metrics.image_bytes.labels("loaded").inc(size)
    for image in loaded:
        engine.events.image(image, "load", image.id)
    return loaded


async def take_in(engine: Engine, staged: Sequence[StagedImage], report: Report) -> list[Image]:
    """Build the chains of staged images and make them visible; discard them all where that fails."""
    rooms = engine.rooms
    try:
        async with engine.chains.using():
            for item in staged:
                await rooms.disks.chain(await template_for(engine, item.image), item.image.layers, report)
            async with engine.creating:
                return list(await rooms.images.commit_all(staged))
    finally:
        for item in staged:
            await item.discard()


async def remove_image(engine: Engine, reference: str, *, force: bool) -> list[Removed]:
    """Untag or delete an image, and delete the chains that nothing needs any more."""
    rooms = engine.rooms
    async with engine.creating:  # a container that is being created uses its image already
        image = await rooms.images.resolve(reference)
        removed = await rooms.images.remove(reference, force=force, in_use=await prune.images_in_use(engine))
    engine.events.removed(image, removed)
    await prune.prune_chains(engine)
    return list(removed)
