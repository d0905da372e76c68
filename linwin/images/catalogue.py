"""The catalogue: which images exist and which references point at them.

One small file, ``index.json``, lists both and is replaced as a whole, so every
change is visible entirely or not at all. An image's record and blobs are on
disk before the index names it and are deleted after it does not; what a crash
leaves in between is named by nothing, and the next :class:`Catalogue` deletes it.

What the disk itself damaged keeps nothing else from being used: an image whose
record or config cannot be read is set aside with the reason, and an index that
cannot be read is made anew from the records, at the cost of the references.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from linwin.errors import Internal, InvalidRequest
from linwin.host.files import make_folders, sync_folder, write_atomically
from linwin.images import references
from linwin.images.blobs import BlobStore
from linwin.images.configs import parse_config
from linwin.images.contents import sha256
from linwin.images.documents import Document
from linwin.images.durable import storing
from linwin.images.records import Entry, Record, StoredLayer
from linwin.paths import Paths

logger = logging.getLogger(__name__)

_INDEX_VERSION = "1"
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Damaged:
    """An image that cannot be used: why, and its record where that one can be read."""

    reason: str
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """The catalogue at one moment.

    ``entries`` are all usable images by id, ``references`` image ids by
    canonical reference; one that a user gave a template's base image names no
    entry. ``damaged`` are the images that wait for a pull or load to mend them.
    """

    entries: Mapping[str, Entry]
    references: Mapping[str, str]
    damaged: Mapping[str, Damaged] = field(default_factory=dict)

    @property
    def live_blobs(self) -> set[str]:
        """The blobs that the images need, as far as is known: see ``names_all_blobs``."""
        records = [entry.record for entry in self.entries.values()]
        records += [image.record for image in self.damaged.values() if image.record]
        return {digest for record in records for digest in record.blobs} | set(self.damaged)

    @property
    def names_all_blobs(self) -> bool:
        """False while a record is unreadable: any blob may be that image's, so none may be deleted."""
        return all(image.record for image in self.damaged.values())

    @property
    def layers(self) -> Iterable[StoredLayer]:
        """The stored layers of all usable images."""
        return (layer for entry in self.entries.values() for layer in entry.record.layers)

    @property
    def parents(self) -> dict[str, str]:
        """What each usable image was made from here, if it was."""
        return {key: entry.record.parent for key, entry in self.entries.items()}

    @property
    def manifests(self) -> set[str]:
        """The digests of the images' own manifests."""
        return {entry.record.manifest for entry in self.entries.values() if entry.record.manifest}

    def names_of(self, image_id: str) -> tuple[str, ...]:
        """The references that point at an image, familiar and sorted."""
        names = (name for name, target in self.references.items() if target == image_id)
        return tuple(sorted(map(references.familiar, names)))


class Catalogue:
    """Images and references, in memory and on disk. Not for two writers at once."""

    def __init__(self, paths: Paths, blobs: BlobStore) -> None:
        """Read what is on disk and delete what an interrupted change left unnamed.

        Raises Internal, naming the file, for an index of another version.
        """
        self.records = paths.image_records
        self.index = paths.image_index
        self.aside = paths.images_aside
        self._blobs = blobs
        self._contents = Contents({}, {})
        with storing("the image catalogue"):
            make_folders(self.records)
            self._contents = self._read()
            self._sweep()

    @property
    def contents(self) -> Contents:
        """What is in it now; replaced, never changed, so any thread may read it."""
        return self._contents

    def put(self, images: Iterable[tuple[Entry, Iterable[str]]]) -> None:
        """Add images, or keep those that are here, and point references at them, all at once."""
        now, written = self._contents, dict[str, Entry]()
        entries, damaged, names = dict(now.entries), dict(now.damaged), dict(now.references)
        try:
            for entry, own_names in images:
                image_id = entry.record.id
                known = entries.get(image_id)
                record = self._merged(known.record if known else None, entry.record)
                if known is None or record != known.record:
                    entries[image_id] = replace(entry, record=record)
                    self.write_record(record)
                    written[image_id] = entries[image_id]
                damaged.pop(image_id, None)
                names.update(dict.fromkeys(own_names, image_id))
            self._write(Contents(entries, names, damaged))
        except BaseException:
            self._settle_for(written)
            raise

    def point(self, reference: str, image_id: str) -> None:
        """Let a reference name an image, in place of what it named before."""
        now = self._contents
        self._write(Contents(now.entries, {**now.references, reference: image_id}, now.damaged))

    def forget(self, names: frozenset[str], image_ids: Collection[str] = ()) -> None:
        """Drop references, and images with them, at once."""
        now = self._contents
        kept = {name: target for name, target in now.references.items() if name not in names}
        entries = {key: entry for key, entry in now.entries.items() if key not in image_ids}
        damaged = {key: image for key, image in now.damaged.items() if key not in image_ids}
        self._write(Contents(entries, kept, damaged))
        with storing("the deletion of an image"):
            for image_id in image_ids:
                self.record_path(image_id).unlink(missing_ok=True)

    def write_record(self, record: Record) -> None:
        with storing(f"image {record.id}"):
            write_atomically(self.record_path(record.id), record.to_json())

    def write_index(self) -> None:
        """Write what is in memory once more."""
        self._write(self._contents)

    def read_index(self) -> tuple[list[str], dict[str, str]]:
        """Image ids and references as they are on disk. Raises InvalidRequest, or OSError."""
        data = self.index.read_bytes()
        document = Document.parse(data, os.fspath(self.index), limit=len(data))  # our own, of any size
        version = document.text("version")
        if version and version != _INDEX_VERSION:
            raise Internal(
                f"{self.index} was written by another version of linwin",
                hint="Use that version, or move the images folder away and load the images again.",
            )
        if not version:
            raise InvalidRequest(f"{self.index} is not an index of images")
        ids, names = document.texts("images"), document.text_map("references")
        for image_id in (*ids, *names.values()):
            if not references.is_digest(image_id):
                raise InvalidRequest(f"{self.index} names {image_id!r} as an image id")
        return list(ids), names

    def read_record(self, image_id: str) -> Record:
        """An image's record as it is on disk. Raises InvalidRequest, or OSError."""
        path = self.record_path(image_id)
        record = Record.from_json(path.read_bytes(), os.fspath(path))
        if record.id != image_id:
            raise InvalidRequest(f"{path} is the record of image {record.id}")
        return record

    def reread(self, image_ids: Iterable[str]) -> None:
        """Set aside those images whose record or config turned out to be damaged."""
        now = self._contents
        entries, damaged = self._read_entries(image_ids)
        kept = {key: entry for key, entry in now.entries.items() if key not in damaged}
        self._contents = Contents({**kept, **entries}, now.references, {**now.damaged, **damaged})

    def record_path(self, image_id: str) -> Path:
        return self.records / f"{image_id.removeprefix('sha256:')}{_SUFFIX}"

    def strays(self) -> list[Path]:
        """The files in the catalogue's folders that nothing names, temporary ones included."""
        now = self._contents
        named = {self.record_path(image_id).name for image_id in (*now.entries, *now.damaged)}
        unnamed = [path for path in self.records.iterdir() if path.name not in named]
        return sorted([*unnamed, *self.index.parent.glob(f".{self.index.name}.*")])

    def _merged(self, known: Record | None, new: Record) -> Record:
        """What is to be recorded of an image that comes once more: where it is from, nobody forgets."""
        if known is None:
            return new
        record = known if self._serves(known, new) else new
        home = record.home or known.home
        made = known if known.step or not new.step else new
        return replace(record, home=home, parent=made.parent, step=made.step)

    def _serves(self, known: Record, new: Record) -> bool:
        """Whether the record that is here will do, so that its blobs, which somebody may be reading, stay.

        Not when a template now provides more or fewer of its layers, when a
        blob of it was lost, or when the new one says more: by which manifest
        the image is known, or known to a registry.
        """
        origin = replace(new, parent=known.parent, step=known.step)
        says_more = new.manifest and origin != known and (new.home or not known.home)
        if known.base_layers != new.base_layers or says_more:
            return False
        sizes = {layer.digest: layer.size for layer in known.layers}
        return all(self._blobs.holds(digest, sizes.get(digest)) for digest in known.blobs)

    def _settle_for(self, written: Mapping[str, Entry]) -> None:
        """Make memory fit the disk after records were written that the index could not follow.

        A record that the index does not name goes; one that it does has replaced another.
        """
        now = self._contents
        listed = {key: entry for key, entry in written.items() if key in now.entries or key in now.damaged}
        for image_id in written.keys() - listed.keys():
            self.record_path(image_id).unlink(missing_ok=True)
        damaged = {key: image for key, image in now.damaged.items() if key not in listed}
        self._contents = Contents({**now.entries, **listed}, now.references, damaged)

    def _write(self, contents: Contents) -> None:
        document = {
            "version": _INDEX_VERSION,
            "images": sorted([*contents.entries, *contents.damaged]),
            "references": dict(sorted(contents.references.items())),
        }
        with storing("the image catalogue"):
            write_atomically(self.index, json.dumps(document, indent=1).encode())
        self._contents = contents

    def _read(self) -> Contents:
        try:
            ids, names = self.read_index()
        except FileNotFoundError:
            ids, names = self._recorded(), {}
            if ids:
                logger.error("%s is gone; every image lost its names", self.index)
            self._write_ids(ids)
        except (InvalidRequest, OSError) as error:
            ids, names = self._recorded(), {}
            logger.error("%s; it is kept in %s, and every image lost its names", _reason(error), self.aside)
            self._set_index_aside()
            self._write_ids(ids)
        entries, damaged = self._read_entries(ids)
        return Contents(entries, names, damaged)

    def _recorded(self) -> list[str]:
        """The ids of all images that have a record, whether or not an index names them."""
        ids = [f"sha256:{path.stem}" for path in self.records.iterdir() if path.suffix == _SUFFIX]
        return [image_id for image_id in ids if references.is_digest(image_id)]

    def _set_index_aside(self) -> None:
        """Keep a damaged index for a human's eyes. It goes on being the index until there is another."""
        make_folders(self.aside)
        kept = self.aside / self.index.name
        kept.unlink(missing_ok=True)
        os.link(self.index, kept)
        sync_folder(self.aside)

    def _write_ids(self, ids: Iterable[str]) -> None:
        """Write an index without references, before it is known which images are whole."""
        self._write(Contents({}, {}, {image_id: Damaged("not read yet") for image_id in ids}))

    def _read_entries(self, ids: Iterable[str]) -> tuple[dict[str, Entry], dict[str, Damaged]]:
        entries: dict[str, Entry] = {}
        damaged: dict[str, Damaged] = {}
        for image_id in ids:
            record: Record | None = None
            try:
                record = self.read_record(image_id)
                entries[image_id] = self._read_entry(record)
            except (OSError, InvalidRequest) as error:
                damaged[image_id] = Damaged(_reason(error), record)
                logger.error("image %s is damaged: %s", image_id, _reason(error))
        return entries, damaged

    def _read_entry(self, record: Record) -> Entry:
        path = self._blobs.path(record.id)
        data = path.read_bytes()
        if sha256(data) != record.id:
            raise InvalidRequest(f"its config {path} has the digest {sha256(data)}")
        return Entry(record, parse_config(data, os.fspath(path)))

    def _sweep(self) -> None:
        stale = self.strays()
        for path in stale:
            path.unlink()
        for folder in {path.parent for path in stale}:
            sync_folder(folder)


def _reason(error: OSError | InvalidRequest) -> str:
    if isinstance(error, InvalidRequest):
        return error.message
    return f"{error.filename}: {error.strerror}"
