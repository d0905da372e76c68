"""Images that are made here: a parent's layers, maybe one more, and a config of their own.

The config is the parent's document with what a commit changes put in its place,
so that what it says of its platform, and what linwin has no name for, stays.
Sources: OCI image specification, "config.md"; Docker image specification v1.2.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from linwin.images import references
from linwin.images.blobs import BlobStore, Lease
from linwin.images.configs import parse_config
from linwin.images.durable import storing
from linwin.images.manifest_output import (
    OCI_MANIFEST,
    blob_size,
    encode,
    layer_descriptors,
    manifest_type,
    oci_manifest,
    read_blob,
    stored_descriptor,
)
from linwin.images.records import Entry, Record, StoredLayer
from linwin.images.staging import Draft
from linwin.model.health import HealthCheck
from linwin.model.image import HistoryEntry, ImageDraft, Layer, RunConfig

_CHUNK = 1 << 20
_LEVEL = 6
"""gzip's and docker's own."""
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_OF_A_CONTAINER = ("container", "container_config", "docker_version", "id", "parent")
"""What docker's older configs say of the container that an image was made from."""


def stage_composed(
    parent: Entry,
    draft: ImageDraft,
    layer: Path | Layer | None,
    names: Sequence[str],
    blobs: BlobStore,
    breathe: Callable[[], object],
) -> Draft:
    """Store what an image made of ``parent`` needs; see :meth:`linwin.engine.interfaces.Images.compose`.

    ``breathe`` is called between pieces, and may raise to stop the work.
    """
    targets = tuple(sorted({str(references.parse_target(name)) for name in names}))
    lease = blobs.lease()
    try:
        for digest in parent.record.blobs:
            lease.claim(digest)
        stored = store_layer(layer, parent, lease, blobs, breathe) if isinstance(layer, Path) else layer
        if isinstance(stored, Layer):
            stored = known_layer(stored, lease, blobs)
        return Draft(_entry(parent, draft, stored, lease, blobs), targets, lease)
    except BaseException:
        lease.release()
        raise


def store_layer(
    layer: Path, parent: Entry, lease: Lease, blobs: BlobStore, breathe: Callable[[], object]
) -> StoredLayer:
    """Compress a plain tar into the store: the same bytes for the same tar, as gzip's header has no time."""
    content, packer = hashlib.sha256(), zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    with storing("a layer"), layer.open("rb") as tar, lease.receive("a layer") as intake:
        while data := tar.read(_CHUNK):
            breathe()
            content.update(data)
            intake.write(packer.compress(data))
        intake.write(packer.flush())
        digest = intake.finish()
    return StoredLayer(f"sha256:{content.hexdigest()}", digest, _layer_type(parent, blobs), intake.size)


def known_layer(layer: Layer, lease: Lease, blobs: BlobStore) -> StoredLayer:
    """Another image's layer, kept. Raises Internal when the store has lost it."""
    lease.claim(layer.digest)
    return StoredLayer(layer.diff_id, layer.digest, layer.media_type, blob_size(blobs, layer.digest))


def config_document(data: bytes, draft: ImageDraft, diff_id: str | None) -> bytes:
    """The config of an image made of one whose config is ``data``, with a layer of this diff id on top."""
    fields: dict[str, Any] = json.loads(data)
    for key in _OF_A_CONTAINER:
        fields.pop(key, None)
    below = fields.get("rootfs") or {}
    diff_ids = [*(below.get("diff_ids") or []), *([diff_id] if diff_id else [])]
    fields["rootfs"] = {**below, "type": "layers", "diff_ids": diff_ids}
    fields["history"] = [*(fields.get("history") or []), history_document(draft.entry)]
    fields["config"] = run_document(draft.config)
    fields["created"] = draft.created
    fields.pop("author", None)
    if draft.author:
        fields["author"] = draft.author
    return encode(fields)


def run_document(config: RunConfig) -> dict[str, Any]:
    """The ``config`` of an image config. What is empty is left out."""
    fields = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Volumes": {path: {} for path in config.volumes},
        "WorkingDir": config.working_dir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "ArgsEscaped": config.args_escaped,
        "OnBuild": list(config.on_build),
        "Shell": list(config.shell),
        "Healthcheck": None if config.health_check is None else _health_document(config.health_check),
    }
    return {key: value for key, value in fields.items() if value}


def history_document(entry: HistoryEntry) -> dict[str, Any]:
    """One line of ``history``, without what is empty."""
    fields = {
        "created": entry.created,
        "created_by": entry.created_by,
        "author": entry.author,
        "comment": entry.comment,
        "empty_layer": entry.empty_layer,
    }
    return {key: value for key, value in fields.items() if value}


def _health_document(check: HealthCheck) -> dict[str, Any]:
    fields = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {key: value for key, value in fields.items() if value}


def _entry(
    parent: Entry, draft: ImageDraft, layer: StoredLayer | None, lease: Lease, blobs: BlobStore
) -> Entry:
    what = "the config of an image made here"
    config = config_document(
        read_blob(blobs, parent.record.id), draft, None if layer is None else layer.diff_id
    )
    image_id = lease.add(config, what)
    record = Record(
        id=image_id,
        base_layers=parent.record.base_layers,
        layers=(*parent.record.layers, *([layer] if layer else ())),
        manifest=_manifest(parent, config, image_id, layer, lease, blobs),
        home=parent.record.home,
        parent=parent.record.id,
        step=draft.step,
    )
    return Entry(record, parse_config(config, what))


def _manifest(
    parent: Entry, config: bytes, image_id: str, layer: StoredLayer | None, lease: Lease, blobs: BlobStore
) -> str | None:
    """The manifest that names the parent's base layers as its own one does; None where it has none."""
    if parent.record.manifest is None:
        return None
    below = read_blob(blobs, parent.record.manifest)
    layers = layer_descriptors(below, f"the manifest of image {parent.record.id}")
    if layer is not None:
        layers.append(stored_descriptor(layer))
    if _is_oci(below):
        manifest = oci_manifest(image_id, len(config), layers)
    else:
        fields = json.loads(below)
        own = {**fields["config"], "digest": image_id, "size": len(config)}
        manifest = encode({**fields, "config": own, "layers": layers})
    return lease.add(manifest, "the manifest of an image made here")


def _layer_type(parent: Entry, blobs: BlobStore) -> str:
    """OCI's media type, or docker's for an image whose manifest is in docker's form."""
    if parent.record.manifest is None or _is_oci(read_blob(blobs, parent.record.manifest)):
        return _OCI_LAYER
    return _DOCKER_LAYER


def _is_oci(manifest: bytes) -> bool:
    return manifest_type(manifest) == OCI_MANIFEST
