"""From an archive to checked blobs: all that happens before an image is visible.

Runs in a thread: hashing and decompression release the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.images.archives import read_images
from linwin.images.bases import count_base_layers, is_foreign
from linwin.images.blobs import BlobStore, Lease
from linwin.images.contents import PackedImage, PackedLayer
from linwin.images.layer_copy import Advance, copy_layer, media_type_of, meter
from linwin.images.platforms import require_windows, serving
from linwin.images.records import Entry, Record, StoredLayer
from linwin.images.tarball import Member, TarArchive, open_archive
from linwin.model.progress import Progress
from linwin.model.template import Template


class Interrupted(Exception):
    """The caller lost interest; never leaves this room."""


class Watch:
    """The thread's line to the caller: progress goes out, an interruption comes in."""

    def __init__(self, report: Callable[[Progress], object]) -> None:
        self._report = report
        self._stop = threading.Event()

    def interrupt(self) -> None:
        self._stop.set()

    def breathe(self) -> None:
        """Called between chunks; raises Interrupted once nobody waits any more."""
        if self._stop.is_set():
            raise Interrupted

    def report(self, progress: Progress) -> None:
        self.breathe()
        self._report(progress)


@dataclass(frozen=True, slots=True)
class Draft:
    """One image, checked, its blobs stored and held by ``lease``."""

    entry: Entry
    references: tuple[str, ...]
    lease: Lease


def stage_archive(
    path: Path, templates: Sequence[Template], blobs: BlobStore, scratch: Path, watch: Watch
) -> list[Draft]:
    """Check and store every image of an archive, or none.

    Raises InvalidRequest or Unavailable, as :class:`linwin.engine.interfaces.Images`
    says; leases are released then, and the blobs are left for collection.
    """
    drafts: list[Draft] = []
    try:
        with open_archive(path, scratch, watch.breathe) as archive:
            stager = _Stager(archive, templates, blobs, watch)
            for image in read_images(archive, templates):
                drafts.append(stager.stage(image))
    except BaseException:
        for draft in drafts:
            draft.lease.release()
        raise
    return drafts


class _Stager:
    def __init__(
        self, archive: TarArchive, templates: Sequence[Template], blobs: BlobStore, watch: Watch
    ) -> None:
        self._archive = archive
        self._templates = templates
        self._blobs = blobs
        self._watch = watch
        self._stored: dict[tuple[Member, str, str | None], StoredLayer] = {}

    def stage(self, image: PackedImage) -> Draft:
        lease = self._blobs.lease()
        try:
            entry = Entry(self._record(image, lease), image.config)
        except BaseException:
            lease.release()
            raise
        names = {str(reference.with_default_tag()) for reference in image.references}
        return Draft(entry, tuple(sorted(names)), lease)

    def _record(self, image: PackedImage, lease: Lease) -> Record:
        platform = image.config.platform
        require_windows(platform, image.name)
        templates = serving(platform.os_version, image.name, self._templates)
        base = count_base_layers(image.config, [layer.media_type for layer in image.layers], templates)
        for diff_id in image.config.diff_ids[:base]:
            self._watch.report(Progress(f"Provided by template {templates[0].name}", _short(diff_id)))
        layers = tuple(self._layer(image, number, lease) for number in range(base, len(image.layers)))
        manifest = image.manifest
        return Record(
            id=lease.add(image.config_bytes, f"the config of image {image.name}"),
            base_layers=base,
            layers=layers,
            manifest=None if manifest is None else lease.add(manifest, f"the manifest of image {image.name}"),
            index_digest=image.digest,
        )

    def _layer(self, image: PackedImage, number: int, lease: Lease) -> StoredLayer:
        packed, diff_id = image.layers[number], image.config.diff_ids[number]
        what = f"layer {number + 1} of image {image.name} ({diff_id})"
        if packed.member is None:
            raise _missing(what, packed, self._archive.label)
        key = (packed.member, diff_id, packed.digest)
        known = self._stored.get(key)
        if known is not None:  # another image of this archive has it too, and holds a lease on it
            lease.claim(known.digest)
            return known
        with lease.receive(what) as intake:
            advance = self._advance(diff_id, packed.member.size)
            source = self._archive.open(packed.member)
            compression = copy_layer(source, intake, advance, what=what, diff_id=diff_id)
            digest = intake.finish(packed.digest)
        stored = StoredLayer(diff_id, digest, media_type_of(packed.media_type, compression), intake.size)
        self._stored[key] = stored
        return stored

    def _advance(self, diff_id: str, total: int) -> Advance:
        def tell(current: int) -> None:
            self._watch.report(Progress("Loading layer", _short(diff_id), current, total))

        return meter(tell, self._watch.breathe, total)


def _missing(what: str, layer: PackedLayer, label: str) -> InvalidRequest:
    if layer.media_type is not None and is_foreign(layer.media_type):
        return InvalidRequest(
            f"{label} lacks {what}, which is not a base layer that a template provides",
            hint="Save the image again with its non-distributable layers included.",
        )
    return InvalidRequest(
        f"{label} lacks {what}", hint="The archive may have been cut off; write or copy it again."
    )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
