"""The docker-archive: what ``docker save`` has written since Docker 1.10.

Source: Docker image specification v1.2, "Combined Image JSON + Filesystem
Changeset Format": ``manifest.json`` lists images, each with the paths of its
config and layers. Newer dockers lay the same files out as an OCI layout too.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from linwin.errors import InvalidRequest
from linwin.images import documents, references
from linwin.images.configs import ImageConfig, parse_config
from linwin.images.contents import PackedImage, PackedLayer, sha256
from linwin.images.documents import Document
from linwin.images.references import Reference
from linwin.images.tarball import TarArchive

MANIFEST = "manifest.json"

_NAMED_BY_DIGEST = re.compile(r"(?:blobs[/\\]sha256[/\\])?([a-f0-9]{64})(?:\.json)?")
_BLOB = re.compile(r"blobs[/\\]sha256[/\\]([a-f0-9]{64})")


def read_docker_archive(archive: TarArchive, besides: Collection[str] = ()) -> list[PackedImage]:
    """Read what ``manifest.json`` lists, ``besides`` the images of these ids.

    Raises InvalidRequest naming what is wrong.
    """
    return [_read_image(archive, entry) for entry in _entries(archive) if _id(entry) not in besides]


def read_names(archive: TarArchive) -> dict[str, tuple[Reference, ...]]:
    """The references that ``manifest.json`` gives, by the id of the image."""
    names: dict[str, tuple[Reference, ...]] = {}
    for entry in _entries(archive):
        image_id = _id(entry)
        if image_id is not None:
            names[image_id] = names.get(image_id, ()) + _references(entry)
    return names


def _entries(archive: TarArchive) -> tuple[Document, ...]:
    what = f"{MANIFEST} in {archive.label}"
    entries = documents.parse(archive.read(MANIFEST), what)
    if not isinstance(entries, list):
        raise InvalidRequest(f"{what} is not a list of images")
    return documents.objects(entries, what)


def _read_image(archive: TarArchive, entry: Document) -> PackedImage:
    config_name = entry.text("Config")
    config_bytes = archive.read(config_name)
    _check_name(config_name, config_bytes, archive)
    config = parse_config(config_bytes, f"image config {config_name}")
    return PackedImage(
        references=_references(entry),
        config_bytes=config_bytes,
        config=config,
        layers=_layers(archive, entry, config),
    )


def _id(entry: Document) -> str | None:
    """The id of the image that an entry is about, None where the config's name does not tell it."""
    match = _NAMED_BY_DIGEST.fullmatch(entry.text("Config"))
    return f"sha256:{match[1]}" if match else None


def _check_name(name: str, data: bytes, archive: TarArchive) -> None:
    match = _NAMED_BY_DIGEST.fullmatch(name)
    if match is not None and sha256(data) != f"sha256:{match[1]}":
        raise InvalidRequest(
            f"{name} in {archive.label} is corrupt: its digest is {sha256(data)}, not sha256:{match[1]}"
        )


def _layers(archive: TarArchive, entry: Document, config: ImageConfig) -> tuple[PackedLayer, ...]:
    names = entry.texts("Layers")
    if len(names) != len(config.diff_ids):
        raise InvalidRequest(
            f"{entry.what} lists {len(names)} layers, but the image's config has {len(config.diff_ids)}"
        )
    sources = entry.object("LayerSources")
    return tuple(
        _layer(archive, name, sources.object(diff_id))
        for name, diff_id in zip(names, config.diff_ids, strict=True)
    )


def _layer(archive: TarArchive, name: str, source: Document) -> PackedLayer:
    # A source describes the blob in the registry; what lies here is mostly its
    # uncompressed form. Only its media type says something about this one.
    match = _BLOB.fullmatch(name)
    digest = f"sha256:{match[1]}" if match else None
    return PackedLayer(archive.find(name), digest, source.text("mediaType") or None)


def _references(entry: Document) -> tuple[Reference, ...]:
    return tuple(references.parse_target(tag) for tag in entry.texts("RepoTags"))
