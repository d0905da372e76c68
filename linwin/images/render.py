"""From what the store remembers to :class:`linwin.model.image.Image`."""

from __future__ import annotations

from collections.abc import Sequence

from linwin.images import references
from linwin.images.bases import base_config
from linwin.images.blobs import BlobStore
from linwin.images.configs import parse_config
from linwin.images.contents import sha256
from linwin.images.records import Entry, Record
from linwin.model.image import Image, Layer
from linwin.model.template import BaseImage, Template


def stored_image(entry: Entry, names: Sequence[str], blobs: BlobStore) -> Image:
    """An image of the catalogue under the canonical references ``names``.

    Those with a digest are what it was pulled by, and become its digests.
    """
    record, config = entry.record, entry.config
    layers = tuple(
        Layer(layer.diff_id, layer.digest, layer.media_type, layer.size, blobs.path(layer.digest))
        for layer in record.layers
    )
    return Image(
        id=record.id,
        platform=config.platform,
        config=config.run,
        diff_ids=config.diff_ids,
        base_layers=record.base_layers,
        layers=layers,
        references=tuple(sorted(name for name in names if "@" not in name)),
        created=config.created,
        author=config.author,
        history=config.history,
        size=sum(layer.size for layer in layers),
        digests=_digests(record, names),
        parent=record.parent,
        step=record.step,
    )


def base_image(base: BaseImage, template: Template) -> Image:
    """The image that a template's base is, under the references that the template gives it."""
    data = base_config(base)
    config = parse_config(data, f"the base image of template {template.name}")
    return Image(
        id=sha256(data),
        platform=config.platform,
        config=config.run,
        diff_ids=config.diff_ids,
        base_layers=len(config.diff_ids),
        layers=(),
        references=tuple(sorted(str(references.parse_target(name)) for name in base.references)),
        created=template.created,
        history=config.history,
        size=template.size,
        template=template.name,
    )


def _digests(record: Record, names: Sequence[str]) -> tuple[str, ...]:
    """The digests that the image was pulled by, and those of its tags."""
    by_digest = {name for name in names if "@" in name}
    digest = record.index_digest or record.manifest
    if digest is not None:
        by_digest |= {f"{references.parse(name).name}@{digest}" for name in names if name not in by_digest}
    return tuple(sorted(by_digest))
