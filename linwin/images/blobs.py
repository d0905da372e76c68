"""The content store: blobs named by the sha256 of their bytes.

A blob is kept while an image's record or a *lease* names it. Whoever brings
blobs in holds a lease on them until the records are written, so that clearing
up after one image never takes a blob that another load has just found present.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from linwin.errors import InvalidRequest
from linwin.images.durable import storing, sync_folder

_READ_ONLY = 0o400


class BlobStore:
    """Blobs under ``folder``/sha256, unfinished ones in ``scratch``; safe to use from threads.

    ``scratch`` is on the same file system, and emptied when the daemon starts.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder = folder / "sha256"
        self._scratch = scratch
        self._leased: Counter[str] = Counter()
        self._lock = threading.Lock()
        with storing("the image store's folders"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._scratch.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def lease(self) -> Lease:
        return Lease(self)

    def collect(self, live: Collection[str]) -> int:
        """Delete every blob that is neither in ``live`` nor leased; return the bytes freed."""
        freed = 0
        with self._lock, storing("the deletion of unused blobs"):
            for entry in os.scandir(self._folder):
                digest = f"sha256:{entry.name}"
                if digest not in live and not self._leased[digest]:
                    freed += entry.stat().st_size
                    os.unlink(entry.path)
            if freed:
                sync_folder(self._folder)
        return freed

    def _take(self, digest: str) -> None:
        with self._lock:
            self._leased[digest] += 1

    def _give_back(self, digests: Collection[str]) -> None:
        with self._lock:
            self._leased.subtract(digests)
            self._leased = +self._leased


class Lease:
    """A claim on blobs that no record names yet. Release it when one does, or when none will."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        self._digests: list[str] = []

    def claim(self, digest: str) -> None:
        """Keep ``digest`` from deletion, whether or not its blob is there yet."""
        self._blobs._take(digest)
        self._digests.append(digest)

    def add(self, data: bytes, what: str) -> str:
        """Store ``data``; return its digest."""
        with self.receive(what) as intake:
            intake.write(data)
            return intake.finish()

    def receive(self, what: str) -> Intake:
        """Begin to store a blob whose bytes arrive piece by piece."""
        return Intake(self._blobs, self, what)

    def release(self) -> None:
        """Give the claims up. Idempotent."""
        self._blobs._give_back(self._digests)
        self._digests = []


class Intake:
    """One blob on its way in; a context that leaves nothing behind unless finished.

    ``what`` names the blob in errors. Every method raises Unavailable for a full disk.
    """

    def __init__(self, blobs: BlobStore, lease: Lease, what: str) -> None:
        self._blobs = blobs
        self._lease = lease
        self._what = what
        self._hash = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Intake:
        with storing(self._what):
            descriptor, name = tempfile.mkstemp(prefix="blob-", dir=self._blobs._scratch)
        self._file: IO[bytes] = open(descriptor, "wb", buffering=0)
        self._name: str | None = name
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._name is not None:
            with suppress(FileNotFoundError):
                os.unlink(self._name)

    @property
    def digest(self) -> str:
        """The digest of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        with storing(self._what):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

    def finish(self, expected: str | None = None) -> str:
        """Make the blob durable under its digest, which is leased, and return that.

        Raises InvalidRequest when it is not the digest ``expected``.
        """
        digest = self.digest
        if expected is not None and digest != expected:
            raise InvalidRequest(f"{self._what} is corrupt: its digest is {digest}, not {expected}")
        # Leased first: from here on nobody deletes the blob, so finding it present is final.
        self._lease.claim(digest)
        target = self._blobs.path(digest)
        if self._name is not None and not target.exists():
            with storing(self._what):
                os.fsync(self._file.fileno())
                os.chmod(self._name, _READ_ONLY)
                os.replace(self._name, target)
                self._name = None
                sync_folder(target.parent)
        return digest
