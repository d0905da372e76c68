"""Manifests that linwin writes itself: the same bytes for the same image, always.

An image keeps the manifest it came with. One that came without, from a
docker-archive, gets an OCI manifest made here.

Sources: OCI image specification, "manifest.md" and "descriptor.md"; Docker's
"Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from linwin.errors import Internal, InvalidRequest
from linwin.images.bases import is_foreign
from linwin.images.blobs import BlobStore
from linwin.images.documents import Document, parse
from linwin.images.records import Record, StoredLayer
from linwin.images.references import is_digest

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_FOREIGN_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"

RawDescriptor = dict[str, Any]
"""One descriptor of a manifest, as its JSON has it: what linwin does not know of stays in it."""


def encode(document: object) -> bytes:
    """The one way in which linwin writes JSON whose digest matters."""
    return json.dumps(document, separators=(",", ":")).encode()


def own_manifest(record: Record, blobs: BlobStore) -> bytes | None:
    """The manifest an image came with, or one made for it.

    None for an image that came without one and lacks base layers: what a
    registry calls those is not known. Reads the store.
    """
    if record.manifest is not None:
        return read_blob(blobs, record.manifest)
    if record.base_layers:
        return None
    return oci_manifest(record.id, blob_size(blobs, record.id), map(stored_descriptor, record.layers))


def oci_manifest(config: str, config_size: int, layers: Iterable[RawDescriptor]) -> bytes:
    """An OCI manifest of a config and layers, base first, whose media types become OCI's."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": config, "size": config_size},
        "layers": [{**layer, "mediaType": oci_layer_type(layer["mediaType"])} for layer in layers],
    }
    return encode(document)


def stored_descriptor(layer: StoredLayer) -> RawDescriptor:
    return {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size}


def oci_layer_type(media_type: str) -> str:
    """The OCI media type of a layer that another specification may have named."""
    plain = OCI_FOREIGN_LAYER if is_foreign(media_type) else OCI_LAYER
    for compression in ("gzip", "zstd"):
        if media_type.endswith((f"+{compression}", f".{compression}")):
            return f"{plain}+{compression}"
    return plain


def manifest_type(manifest: bytes) -> str:
    """The media type of a manifest; OCI's may leave it out."""
    return Document.parse(manifest, "a manifest").text("mediaType") or OCI_MANIFEST


def layer_descriptors(manifest: bytes, what: str) -> list[RawDescriptor]:
    """The layers of a manifest, base first, each with a digest, a size and a media type.

    Raises InvalidRequest naming ``what``, the manifest, for anything else.
    """
    fields = parse(manifest, what)
    found = Document.parse(manifest, what).objects("layers")
    for layer in found:
        layer.size("size")
        if not is_digest(layer.text("digest")) or not layer.text("mediaType"):
            raise InvalidRequest(f"{layer.what} is not a descriptor")
    return [dict(layer) for layer in fields.get("layers") or []]


def read_blob(blobs: BlobStore, digest: str) -> bytes:
    """The bytes of a small blob. Raises Internal when the store has lost it."""
    try:
        return blobs.path(digest).read_bytes()
    except OSError as error:
        raise lost(digest, error.strerror) from error


def blob_size(blobs: BlobStore, digest: str) -> int:
    """Raises Internal when the store has lost the blob."""
    try:
        return blobs.path(digest).stat().st_size
    except OSError as error:
        raise lost(digest, error.strerror) from error


def lost(digest: str, reason: str | None) -> Internal:
    return Internal(
        f"blob {digest} of the image store cannot be read: {reason}",
        hint="See what else is damaged with: linwin system check",
    )
