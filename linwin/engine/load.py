"""load and rmi: images in and out, with their chains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.create import choose_template, template_for
from linwin.model.chain import chain_ids
from linwin.model.image import Image, Removed
from linwin.model.progress import Report

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def load(engine: Engine, archive: Path, report: Report) -> list[Image]:
    """Read an archive and build its images' chains; none becomes visible before all are ready."""
    rooms = engine.rooms
    staged = await rooms.images.stage(archive, await rooms.templates.list(), report)
    try:
        async with engine.chains.using():
            for item in staged:
                await rooms.disks.chain(await template_for(engine, item.image), item.image.layers, report)
            return [await item.commit() for item in staged]
    finally:
        for item in staged:
            await item.discard()


async def remove_image(engine: Engine, reference: str, *, force: bool) -> list[Removed]:
    """Untag or delete an image, and delete the chains that nothing needs any more."""
    rooms = engine.rooms
    async with engine.creating:  # a container that is being created uses its image already
        containers = await rooms.state.list()
        removed = await rooms.images.remove(
            reference, force=force, in_use=frozenset(container.image_id for container in containers)
        )
    async with engine.chains.pruning():
        await _prune(engine)
    return list(removed)


async def _prune(engine: Engine) -> None:
    rooms = engine.rooms
    containers = await rooms.state.list()
    keep = {container.chain_id for container in containers}
    templates = await rooms.templates.list()
    for image in await rooms.images.list():
        if template := choose_template(image, templates):
            keep.add(chain_ids(template.digest, [layer.diff_id for layer in image.layers])[-1])
    await rooms.disks.prune(frozenset(keep))
