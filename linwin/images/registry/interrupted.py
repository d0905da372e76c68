"""What unfinished pulls keep, so that the next attempt does not fetch it again.

Before its first blob arrives, a pull writes down which blobs it is about to
bring. They are not deleted while that file is there: until the image is
committed, a later pull of the same reference finds another image there, the
file is a week old, or somebody asks for the space.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.host.files import sync_folder, write_atomically
from linwin.images import references
from linwin.images.documents import Document
from linwin.images.durable import storing

KEPT_FOR = 7 * 24 * 3600
"""Seconds after which an unfinished pull is forgotten."""


@dataclass(frozen=True, slots=True)
class Intent:
    """One unfinished pull: the manifest it fetches, under which reference, and the blobs it brings.

    ``begun`` is in seconds since the epoch.
    """

    manifest: str
    reference: str
    blobs: frozenset[str]
    begun: float


class InterruptedPulls:
    """The unfinished pulls of one root, in memory and on disk.

    Changes are made one at a time, as the image store makes all its changes;
    :meth:`live_blobs` may be asked at any time and from any thread.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is on disk. A file that cannot be understood keeps nothing and is deleted."""
        self._folder = folder
        self._running: Counter[str] = Counter()
        self._intents: dict[str, Intent] = {}
        with storing("the folder of unfinished pulls"):
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                intent = _read(path)
                if intent is None:
                    path.unlink()
                else:
                    self._intents[intent.manifest] = intent

    def live_blobs(self) -> set[str]:
        """The blobs that unfinished pulls keep, those of running ones included."""
        return {
            digest for intent in self._intents.values() for digest in intent.blobs if self._counts(intent)
        }

    def begin(self, manifest: str, reference: str, blobs: Collection[str]) -> None:
        """Write down that a pull of ``reference`` is about to bring ``blobs``.

        Earlier pulls of the reference that brought another manifest, and those
        that are too old, are forgotten.
        """
        intent = Intent(manifest, reference, frozenset(blobs), time.time())
        document = {"manifest": manifest, "reference": reference, "blobs": sorted(blobs)}
        with storing("the list of what a pull brings"):
            write_atomically(self._path(manifest), json.dumps(document, indent=1).encode())
        self._intents = {**self._intents, manifest: intent}
        for other in list(self._intents.values()):
            superseded = other.reference == reference and other.manifest != manifest
            if not self._running[other.manifest] and (superseded or not self._counts(other)):
                self.end(other.manifest)

    @contextmanager
    def running(self, manifest: str) -> Iterator[None]:
        """Mark a pull as running, which keeps its blobs whatever else happens."""
        self._running[manifest] += 1
        try:
            yield
        finally:
            self._running[manifest] -= 1

    def forget(self, manifests: Set[str]) -> None:
        """Forget the pulls that brought ``manifests``, whose images are committed."""
        for manifest in self._intents.keys() & manifests:
            self.end(manifest)

    def end(self, manifest: str) -> None:
        """Forget a pull. Idempotent."""
        if manifest in self._intents:
            self._intents = {key: intent for key, intent in self._intents.items() if key != manifest}
            with storing("the end of a pull"):
                self._path(manifest).unlink(missing_ok=True)
                sync_folder(self._folder)

    def discard(self) -> None:
        """Forget every unfinished pull that is not running; its blobs go with the next collection."""
        for manifest in list(self._intents):
            if not self._running[manifest]:
                self.end(manifest)

    def _counts(self, intent: Intent) -> bool:
        return self._running[intent.manifest] > 0 or time.time() - intent.begun < KEPT_FOR

    def _path(self, manifest: str) -> Path:
        return self._folder / f"{manifest.removeprefix('sha256:')}.json"


def _read(path: Path) -> Intent | None:
    """An intent from disk; None for what :meth:`InterruptedPulls.begin` did not write whole."""
    data = path.read_bytes()
    try:
        document = Document.parse(data, os.fspath(path), limit=len(data))  # our own, of any size
        manifest, blobs = document.text("manifest"), document.texts("blobs")
    except InvalidRequest:
        return None
    if path.name != f"{manifest.removeprefix('sha256:')}.json" or not all(map(references.is_digest, blobs)):
        return None
    return Intent(manifest, document.text("reference"), frozenset(blobs), path.stat().st_mtime)
