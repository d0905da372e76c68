"""What has been built before: images that a step would make once more.

A step is known by the image that it starts from and by its ``step``, words in which all is named that
it depends on: the instruction, the arguments it sees, the digests of what it copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linwin.model.image import Image, Layer


def built(images: Iterable[Image], parent: Image, step: str) -> Image | None:
    """The image that the step made of ``parent`` here, the newest of several."""
    return next((image for image in images if image.parent == parent.id and image.step == step), None)


@dataclass(frozen=True, slots=True)
class Adopted:
    """What another image has of a step: its layer, None where the step made none."""

    layer: Layer | None


def adopted(sources: Sequence[Image], parent: Image, created_by: str) -> Adopted | None:
    """The step's result in an image of ``--cache-from``: one that begins with all that ``parent`` is."""
    for image in sources:
        below = len(parent.history)
        if (
            len(image.history) <= below
            or image.diff_ids[: len(parent.diff_ids)] != parent.diff_ids
            or [line.created_by for line in image.history[:below]]
            != [line.created_by for line in parent.history]
        ):
            continue
        line = image.history[below]
        if line.created_by != created_by:
            continue
        if line.empty_layer:
            return Adopted(None)
        above = len(parent.diff_ids) - image.base_layers
        if 0 <= above < len(image.layers):
            return Adopted(image.layers[above])
    return None
