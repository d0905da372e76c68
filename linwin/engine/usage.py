"""usage: what takes how much of the disk that holds LINWIN_ROOT."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.create import choose_template
from linwin.model.chain import chain_ids
from linwin.model.image import Image
from linwin.model.template import Template
from linwin.model.upkeep import DiskUse

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

BLOCK = 512
"""Bytes of the unit that stat(2) counts allocated space in."""


@dataclass(frozen=True, slots=True)
class ImageSize:
    """Bytes of disk that an image takes, and those of them that it shares with another image."""

    total: int
    shared: int


async def usage(engine: Engine) -> DiskUse:
    """Ask every room what it has on disk."""
    rooms = engine.rooms
    blobs, interrupted = await rooms.images.usage()
    ids = [container.id for container in await rooms.state.list()]
    sizes = await asyncio.to_thread(lambda: [allocated(engine.paths.overlay(known)) for known in ids])
    return DiskUse(blobs, interrupted, await rooms.disks.usage(), dict(zip(ids, sizes, strict=True)))


def allocated(path: Path) -> int:
    """Bytes of disk that a file takes, holes left out; 0 for one that is not there."""
    try:
        return os.stat(path).st_blocks * BLOCK
    except (FileNotFoundError, NotADirectoryError):
        return 0


def tree_size(folder: Path) -> int:
    """Bytes of disk that a folder and all below it take, what has several names counted once."""
    found: dict[tuple[int, int], int] = {}
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, file) for file in files)):
            try:
                status = os.lstat(path)
            except FileNotFoundError:  # it went meanwhile
                continue
            found[status.st_dev, status.st_ino] = status.st_blocks * BLOCK
    return sum(found.values())


def image_sizes(
    images: Iterable[Image], templates: Iterable[Template] = (), chains: Mapping[str, int] | None = None
) -> dict[str, ImageSize]:
    """The size of each image, by its id: its layers' blobs and, where ``chains`` has them, their disks."""
    known = tuple(templates)
    parts = {image.id: _parts(image, known, chains or {}) for image in images}
    owners = Counter(part for own in parts.values() for part in own)
    return {
        image_id: ImageSize(
            total=sum(own.values()),
            shared=sum(size for part, size in own.items() if owners[part] > 1),
        )
        for image_id, own in parts.items()
    }


def _parts(image: Image, templates: Sequence[Template], chains: Mapping[str, int]) -> dict[str, int]:
    """Everything stored for an image, by a name that two images share where they share the thing."""
    parts = {f"blob {layer.digest}": layer.size for layer in image.layers}
    if template := choose_template(image, templates):
        # Without the first: it is the template's own disk.
        for chain_id in chain_ids(template.digest, [layer.diff_id for layer in image.layers])[1:]:
            parts[f"chain {chain_id}"] = chains.get(chain_id, 0)
    return parts
