"""The content store: blobs named by the sha256 of their bytes.

A blob is kept while an image's record or a *lease* names it. Whoever brings
blobs in holds a lease on them until the records are written, so that clearing
up after one image never takes a blob that another load has just found present.

A name is no proof: disks rot. Whoever has a blob's bytes in hand puts them in
the place of what is there, and a blob that was found corrupt counts as absent
until that happens.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from linwin.errors import InvalidRequest
from linwin.host.files import make_folders, sync_folder
from linwin.images import references
from linwin.images.durable import storing

_READ_ONLY = 0o400


class BlobStore:
    """Blobs under ``folder``/sha256, unfinished ones in ``scratch``; safe to use from threads.

    ``scratch`` is on the same file system, and emptied when the daemon starts.
    ``aside`` is where corrupt blobs go, made when the first one does.
    """

    def __init__(self, folder: Path, scratch: Path, aside: Path) -> None:
        self._folder = folder / "sha256"
        self._scratch = scratch
        self._aside = aside
        self._leased: Counter[str] = Counter()
        self._corrupt: set[str] = set()
        self._lock = threading.Lock()
        with storing("the image store's folders"):
            make_folders(self._folder, self._scratch)

    def path(self, digest: str) -> Path:
        return self._folder / digest.removeprefix("sha256:")

    def holds(self, digest: str, size: int | None = None) -> bool:
        """Whether a blob is here, has ``size`` bytes, and was not found corrupt; its bytes are not read."""
        if digest in self._corrupt:
            return False
        try:
            status = self.path(digest).stat()
        except FileNotFoundError:
            return False
        return size is None or status.st_size == size

    def is_whole(self, digest: str, data: bytes) -> bool:
        """Whether the blob is here and reads as ``data``."""
        if not self.holds(digest, len(data)):
            return False
        try:
            return self.path(digest).read_bytes() == data
        except OSError:
            return False  # what the disk cannot read is written again

    def digests(self) -> set[str]:
        """What is here, by name."""
        with storing("the list of blobs"):
            return {digest for digest, _ in self._entries()}

    def foreign(self) -> list[Path]:
        """What lies among the blobs and is none."""
        # Looked at once: what is not in an earlier list may be a blob that has arrived since.
        with storing("the list of blobs"), os.scandir(self._folder) as entries:
            return sorted(self._folder / entry.name for entry in entries if not _is_blob(entry))

    def usage(self, digests: Collection[str] | None = None) -> int:
        """Bytes of all blobs, or of those among ``digests``."""
        total = 0
        with storing("the list of blobs"):
            for digest, entry in self._entries():
                if digests is None or digest in digests:
                    with suppress(FileNotFoundError):  # deleted as we look
                        total += entry.stat().st_size
        return total

    def lease(self) -> Lease:
        return Lease(self)

    def unclaimed(self, live: Collection[str]) -> set[str]:
        """The blobs that are neither in ``live`` nor leased."""
        with self._lock:
            return {digest for digest in self.digests() if digest not in live and not self._leased[digest]}

    def collect(self, live: Collection[str]) -> int:
        """Delete every blob that is neither in ``live`` nor leased; return the bytes freed."""
        freed = 0
        with self._lock, storing("the deletion of unused blobs"):
            for digest, entry in self._entries():
                if digest not in live and not self._leased[digest]:
                    freed += entry.stat().st_size
                    os.unlink(entry.path)
                    self._corrupt.discard(digest)
            if freed:
                sync_folder(self._folder)
            self._clear_aside(live)
        return freed

    def judge(self, digest: str, inode: int, *, whole: bool) -> None:
        """Say what a blob's bytes turned out to be; nothing if its file has been replaced since ``inode``."""
        with self._lock:
            if self._inode(digest) == inode:
                (self._corrupt.discard if whole else self._corrupt.add)(digest)

    def set_aside(self, digest: str) -> Path | None:
        """Move a blob that is marked corrupt out of the way; None when it has been replaced or deleted."""
        with self._lock, storing("a corrupt blob"):
            if digest not in self._corrupt or not self.path(digest).exists():
                return None
            make_folders(self._aside)
            target = self._aside / self.path(digest).name
            os.replace(self.path(digest), target)
            sync_folder(self._aside)
            sync_folder(self._folder)
            self._corrupt.discard(digest)
        return target

    def _put(self, digest: str, file: str) -> None:
        """Let the durable ``file``, whose digest was taken, be the blob, in place of one that is there."""
        with self._lock:
            os.replace(file, self.path(digest))
            self._corrupt.discard(digest)
        sync_folder(self._folder)

    def _clear_aside(self, live: Collection[str]) -> None:
        """Delete the corrupt copies of blobs that are whole again or that nobody needs any more."""
        if not self._aside.exists():
            return
        for path in self._aside.iterdir():
            digest = f"sha256:{path.name}"
            if references.is_digest(digest) and (digest not in live or self.holds(digest)):
                path.unlink()

    def _entries(self) -> Iterator[tuple[str, os.DirEntry[str]]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _is_blob(entry):
                    yield f"sha256:{entry.name}", entry

    def _inode(self, digest: str) -> int | None:
        try:
            return self.path(digest).stat().st_ino
        except FileNotFoundError:
            return None

    def _take(self, digest: str) -> None:
        with self._lock:
            self._leased[digest] += 1

    def _give_back(self, digests: Collection[str]) -> None:
        with self._lock:
            self._leased.subtract(digests)
            self._leased = +self._leased


def _is_blob(entry: os.DirEntry[str]) -> bool:
    return references.is_digest(f"sha256:{entry.name}") and entry.is_file(follow_symlinks=False)


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
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.claim(digest)
        if self._blobs.is_whole(digest, data):
            return digest
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
        # Leased first: from here on nobody deletes the blob.
        self._lease.claim(digest)
        if self._name is not None:
            with storing(self._what):
                os.chmod(self._name, _READ_ONLY)
                os.fsync(self._file.fileno())
                self._blobs._put(digest, self._name)
                self._name = None
        return digest
