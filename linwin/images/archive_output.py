"""Writing image archives: what ``docker save`` has written since Docker 25.

One tar holds both layouts, over the same blobs: the OCI image layout, which
keeps manifests and so digests, and docker's ``manifest.json``, which can also
describe an image that has no manifest. Members are sorted and carry no time and
no owner, so the same images give the same bytes.

Base layers that a template provides are not stored, so the archive lacks them
as it lacks foreign layers in docker's own; their descriptors are in the
manifest and under ``LayerSources``.

Sources: OCI image specification, "image-layout.md" and "image-index.md";
Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
"""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from linwin.images import references
from linwin.images.blobs import BlobStore
from linwin.images.contents import sha256
from linwin.images.manifest_output import (
    RawDescriptor,
    blob_size,
    encode,
    layer_descriptors,
    lost,
    manifest_type,
    own_manifest,
)
from linwin.images.names import Names
from linwin.images.records import Entry

_PIECE = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True, slots=True)
class SavedImage:
    """One image to be written. ``references`` are canonical and sorted, none for one saved by its id."""

    entry: Entry
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A blob that goes into the archive from the store."""

    digest: str
    path: Path
    size: int


_Members = dict[str, bytes | _Stored | None]
"""What the archive holds by name; None is a folder."""


def select(wanted: Sequence[str], names: Names) -> dict[str, frozenset[str]]:
    """Image ids and the canonical references they are saved under, as docker reads such a list.

    A repository without a tag means all its tags; an id or a digest brings no
    reference. Raises NotFound, or InvalidRequest for what cannot be a reference.
    """
    selected: dict[str, set[str]] = {}
    for text in wanted:
        if tagged := _tags_of(text, names):
            for name in tagged:
                selected.setdefault(names.references[name], set()).add(name)
        else:
            found = names.find(text)
            by_digest = found.references and references.parse(text).digest is not None
            selected.setdefault(found.id, set()).update(() if by_digest else found.references)
    return {image_id: frozenset(found) for image_id, found in selected.items()}


async def stream_archive(images: Sequence[SavedImage], blobs: BlobStore) -> AsyncGenerator[bytes, None]:
    """The archive in pieces of at most 1 MiB, read in a thread one at a time.

    The caller holds a lease on the images' blobs. Raises Internal for a blob
    that the store has lost or that is not as long as it was.
    """
    with closing(_pieces(images, blobs)) as pieces:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, pieces, b""))
            try:
                piece = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait({step})  # a generator cannot be closed while a thread is in it
                raise
            if not piece:
                return
            yield piece


def _tags_of(text: str, names: Names) -> list[str]:
    if references.as_id(text) is not None:
        return []
    wanted = references.parse(text)
    if wanted.tag or wanted.digest:
        return []
    return names.tags_of(wanted.name)


def _pieces(images: Sequence[SavedImage], blobs: BlobStore) -> Generator[bytes, None, None]:
    for name, content in sorted(_members(images, blobs).items()):
        if content is None:
            yield _header(name, tarfile.DIRTYPE, 0)
            continue
        size = len(content) if isinstance(content, bytes) else content.size
        yield _header(name, tarfile.REGTYPE, size)
        if isinstance(content, bytes):
            yield from (content[start : start + _PIECE] for start in range(0, size, _PIECE))
        else:
            yield from _blob_pieces(content)
        if padding := -size % tarfile.BLOCKSIZE:
            yield bytes(padding)
    yield _END


def _members(images: Sequence[SavedImage], blobs: BlobStore) -> _Members:
    members: _Members = {"blobs": None, "blobs/sha256": None}
    index: list[RawDescriptor] = []
    entries: list[RawDescriptor] = []
    for image in sorted(images, key=lambda image: image.entry.record.id):
        record = image.entry.record
        for digest in sorted(record.blobs):
            members[_blob(digest)] = _Stored(digest, blobs.path(digest), blob_size(blobs, digest))
        manifest = own_manifest(record, blobs)
        if manifest is not None:
            members[_blob(sha256(manifest))] = manifest
            index += _index_entries(manifest, image.references)
        entries.append(_docker_entry(image, manifest))
    members["manifest.json"] = encode(entries)
    if index:
        members["oci-layout"] = encode({"imageLayoutVersion": "1.0.0"})
        members["index.json"] = encode({"schemaVersion": 2, "mediaType": _OCI_INDEX, "manifests": index})
    return members


def _index_entries(manifest: bytes, names: Sequence[str]) -> list[RawDescriptor]:
    """One descriptor for each name of an image, or one without a name."""
    descriptor = {"mediaType": manifest_type(manifest), "digest": sha256(manifest), "size": len(manifest)}
    named = [
        {
            **descriptor,
            "annotations": {
                "io.containerd.image.name": name,
                "org.opencontainers.image.ref.name": references.parse(name).tag,
            },
        }
        for name in names
    ]
    return named or [descriptor]


def _docker_entry(image: SavedImage, manifest: bytes | None) -> RawDescriptor:
    record = image.entry.record
    stored = [layer.digest for layer in record.layers]
    absent = image.entry.config.diff_ids[: record.base_layers]
    described = [] if manifest is None else layer_descriptors(manifest, f"the manifest of image {record.id}")
    sources = dict(zip(absent, described[: record.base_layers], strict=False))
    # A layer that is neither stored nor described goes by its diff id, as docker names plain layers.
    lacking = [sources[diff_id]["digest"] if diff_id in sources else diff_id for diff_id in absent]
    entry: RawDescriptor = {
        "Config": _blob(record.id),
        "RepoTags": [references.familiar(name) for name in image.references] or None,
        "Layers": [_blob(digest) for digest in (*lacking, *stored)],
    }
    return {**entry, "LayerSources": sources} if sources else entry


def _blob_pieces(blob: _Stored) -> Iterator[bytes]:
    left = blob.size
    try:
        with blob.path.open("rb", buffering=0) as file:
            while left:
                data = file.read(min(_PIECE, left))
                if not data:
                    raise lost(blob.digest, f"it ends {left} bytes early")
                left -= len(data)
                yield data
    except OSError as error:
        raise lost(blob.digest, error.strerror) from error


def _header(name: str, kind: bytes, size: int) -> bytes:
    header = tarfile.TarInfo(name)
    header.type, header.size, header.mtime = kind, size, 0
    header.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    return header.tobuf(tarfile.PAX_FORMAT)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"
