"""The catalogue: which images exist and which references point at them.

One small file, ``index.json``, lists both and is replaced as a whole, so every
change is visible entirely or not at all. An image's record and blobs are on
disk before the index names it and are deleted after it does not; what a crash
leaves in between is named by nothing, and the next :class:`Catalogue` deletes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Internal, InvalidRequest
from linwin.images import references
from linwin.images.blobs import BlobStore
from linwin.images.configs import parse_config
from linwin.images.contents import sha256
from linwin.images.documents import Document
from linwin.images.durable import storing, sync_folder, write_file
from linwin.images.records import Entry, Record
from linwin.paths import Paths

_INDEX_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Contents:
    """The catalogue at one moment.

    ``entries`` are all images by id, ``references`` image ids by canonical
    reference; one that a user gave a template's base image names no entry.
    """

    entries: Mapping[str, Entry]
    references: Mapping[str, str]

    @property
    def live_blobs(self) -> set[str]:
        return {digest for entry in self.entries.values() for digest in entry.record.blobs}


class Catalogue:
    """Images and references, in memory and on disk. Not for two writers at once."""

    def __init__(self, paths: Paths, blobs: BlobStore) -> None:
        """Read what is on disk and delete what an interrupted change left unnamed.

        Raises Internal, naming the file, when something that is named is damaged.
        """
        self._records = paths.image_records
        self._index = paths.image_index
        self._blobs = blobs
        self._contents = Contents({}, {})
        with storing("the image catalogue"):
            self._records.mkdir(parents=True, exist_ok=True)
            if self._index.exists():
                ids, names = self._read_index()
                self._contents = Contents({image_id: self._read_entry(image_id) for image_id in ids}, names)
            self._sweep()

    @property
    def contents(self) -> Contents:
        """What is in it now; replaced, never changed, so any thread may read it."""
        return self._contents

    def put(self, entry: Entry, names: Mapping[str, str]) -> None:
        """Add an image, or keep the one that is here, and point ``names`` where they say, at once."""
        record, now = entry.record, self._contents
        known = now.entries.get(record.id)
        if known is not None and known.record.base_layers == record.base_layers:
            # The blobs that are here serve as well, and somebody may be reading them.
            entry = known
        else:
            with storing(f"image {record.id}"):
                write_file(self._record(record.id), record.to_json())
        self._write(Contents({**now.entries, record.id: entry}, {**now.references, **names}))

    def point(self, reference: str, image_id: str) -> None:
        """Let a reference name an image, in place of what it named before."""
        now = self._contents
        self._write(Contents(now.entries, {**now.references, reference: image_id}))

    def forget(self, names: frozenset[str], image_id: str | None = None) -> None:
        """Drop references and, where given, an image with them, at once."""
        now = self._contents
        kept = {name: target for name, target in now.references.items() if name not in names}
        entries = {key: entry for key, entry in now.entries.items() if key != image_id}
        self._write(Contents(entries, kept))
        if image_id is not None:
            with storing("the deletion of an image"):
                self._record(image_id).unlink(missing_ok=True)

    def _write(self, contents: Contents) -> None:
        document = {
            "version": _INDEX_VERSION,
            "images": sorted(contents.entries),
            "references": dict(sorted(contents.references.items())),
        }
        with storing("the image catalogue"):
            write_file(self._index, json.dumps(document, indent=1).encode())
        self._contents = contents

    def _read_index(self) -> tuple[list[str], dict[str, str]]:
        try:
            data = self._index.read_bytes()
            document = Document.parse(data, os.fspath(self._index), limit=len(data))  # our own, of any size
            if document.text("version") != _INDEX_VERSION:
                raise InvalidRequest(f"{self._index} was written by another version of linwin")
            ids, names = document.texts("images"), document.text_map("references")
            for image_id in (*ids, *names.values()):
                if not references.is_digest(image_id):
                    raise InvalidRequest(f"{self._index} names {image_id!r} as an image id")
        except InvalidRequest as error:
            raise _damaged(self._index, error) from error
        return list(ids), names

    def _read_entry(self, image_id: str) -> Entry:
        path, config_path = self._record(image_id), self._blobs.path(image_id)
        try:
            record = Record.from_json(path.read_bytes(), os.fspath(path))
            data = config_path.read_bytes()
            if record.id != image_id or sha256(data) != image_id:
                raise InvalidRequest(f"{path} or {config_path} is not that of image {image_id}")
            return Entry(record, parse_config(data, os.fspath(config_path)))
        except (FileNotFoundError, InvalidRequest) as error:
            raise _damaged(path, error) from error

    def _sweep(self) -> None:
        named = {self._record(image_id).name for image_id in self._contents.entries}
        stale = [path for path in self._records.iterdir() if path.name not in named]
        for path in stale:
            path.unlink()
        for path in self._index.parent.glob(f".{self._index.name}.*"):
            path.unlink()
        if stale:
            sync_folder(self._records)

    def _record(self, image_id: str) -> Path:
        return self._records / f"{image_id.removeprefix('sha256:')}.json"


def _damaged(path: Path, error: Exception) -> Internal:
    message = error.message if isinstance(error, InvalidRequest) else str(error)
    return Internal(
        f"the image store is damaged at {path}: {message}",
        hint="Restore that file, or move the images folder away and load the images again.",
    )
