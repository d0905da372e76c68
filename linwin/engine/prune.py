"""prune: delete what nothing uses. Nothing that is under way loses what it needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from linwin.daemon_log import about
from linwin.engine import remove, unreadable
from linwin.engine.create import choose_template
from linwin.engine.usage import allocated
from linwin.errors import Conflict, LinwinError, NotFound
from linwin.model.chain import chain_ids
from linwin.model.container import Container
from linwin.model.image import Image, Removed
from linwin.model.upkeep import Pruned

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

STOPPED = frozenset({"created", "exited", "dead"})
"""What a container is that docker's prune removes, unless its record cannot be read."""


async def prune_images(engine: Engine, *, dangling_only: bool, keep: Callable[[Image], bool]) -> Pruned:
    """Delete images that no container uses, with ``dangling_only`` those without a reference.

    What a template is goes with the template alone. Whatever interrupted pulls
    have kept goes too, and then the chains that nothing needs any more.
    """
    images = engine.rooms.images
    async with engine.creating:
        before = await images.list()
        removed = await _remove_images(
            engine, lambda image: not ((dangling_only and image.references) or keep(image))
        )
        freed = _freed(before, await images.list())
    freed += await images.discard_interrupted()
    freed += await prune_chains(engine)
    engine.events.pruned("image", freed)
    return Pruned(tuple(removed), freed=freed)


async def prune_builds(engine: Engine, *, everything: bool, keep: Callable[[Image], bool]) -> Pruned:
    """Delete the images of builds' steps that have no name and that no container and no build uses.

    With ``everything`` also those that named images were made from: the next build of them begins anew.
    """
    images = engine.rooms.images
    async with engine.creating:
        before = await images.list()
        removed = await _remove_images(
            engine,
            lambda image: bool(image.step) and not image.references and not keep(image),
            ancestors=everything,
        )
        freed = _freed(before, await images.list())
    freed += await prune_chains(engine)
    return Pruned(tuple(removed), freed=freed)


async def _remove_images(
    engine: Engine, doomed: Callable[[Image], bool], *, ancestors: bool = False
) -> list[Removed]:
    """Remove the images that are ``doomed`` and in no use. Called with ``creating`` held.

    What others were made from stays unless these go too, or ``ancestors`` are to go.
    """
    images = engine.rooms.images
    in_use = await images_in_use(engine)
    removed: list[Removed] = []
    while True:  # what others were made from follows these
        there = await images.list()
        parents = {image.parent for image in there}
        going = [
            image
            for image in there
            if doomed(image)
            and image.template is None
            and image.id not in in_use
            and (ancestors or image.id not in parents)
        ]
        if not going:
            return removed
        for image in going:
            gone = await images.remove(image.id, force=True, in_use=in_use, leave_children=ancestors)
            engine.events.removed(image, gone)
            removed += gone


async def images_in_use(engine: Engine) -> frozenset[str]:
    """The ids of the images that containers, or builds under way, use."""
    containers = {container.image_id for container in await engine.rooms.state.list()}
    return frozenset(containers | (+engine.building).keys())


def _freed(before: Iterable[Image], after: Iterable[Image]) -> int:
    """Bytes of the blobs that only images of ``before`` had."""
    left = {layer.digest for image in after for layer in image.layers}
    gone = {layer.digest: layer.size for image in before for layer in image.layers}
    return sum(size for digest, size in gone.items() if digest not in left)


async def prune_containers(engine: Engine, keep: Callable[[Container], bool]) -> Pruned:
    """Remove every container that is at rest, and the chains that were there for these alone.

    One that is started meanwhile stays, and one that cannot be removed does not save the others.
    """
    removed: list[str] = []
    freed = 0
    for container in await engine.rooms.state.list():
        if container.status not in STOPPED or container.unreadable or keep(container):
            continue
        size = await asyncio.to_thread(allocated, engine.paths.overlay(container.id))
        if await _remove(engine, container):
            removed.append(container.id)
            freed += size
    freed += await prune_chains(engine)
    engine.events.pruned("container", freed)
    return Pruned(containers=tuple(removed), freed=freed)


async def _remove(engine: Engine, container: Container) -> bool:
    """Whether it is gone."""
    with about(container.id):
        try:
            await remove.remove(engine, container.id, force=False)
        except (Conflict, NotFound) as changed:
            logger.info("container %s is not pruned: %s", container.short_id, changed.message)
            return False
        except LinwinError as failure:
            logger.warning("container %s could not be pruned: %s", container.short_id, failure)
            return False
    return True


async def prune_chains(engine: Engine) -> int:
    """Delete the chains that no image and no container needs; return the bytes freed."""
    rooms = engine.rooms
    async with engine.chains.pruning():
        keep = await unreadable.chain_ids(engine, await rooms.state.list())
        templates = await rooms.templates.list()
        for image in await rooms.images.list():
            if template := choose_template(image, templates):
                keep.add(chain_ids(template.digest, [layer.diff_id for layer in image.layers])[-1])
        return await rooms.disks.prune(frozenset(keep))
