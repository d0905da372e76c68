"""What the blobs on disk really hold: every byte read, several at a time."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from linwin.errors import InvalidRequest
from linwin.images.blobs import BlobStore
from linwin.images.compression import decompressed, decompressing, detect
from linwin.images.staging import Watch
from linwin.model.progress import Progress, Report

_CHUNK = 1 << 20
_HEAD = 8
_THREADS = min(4, os.cpu_count() or 1)
_STATUS = "Checking blobs"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one blob held when it was read.

    ``digest`` is None when the disk refused, as ``failure`` says then;
    ``diff_id`` is that of the content, None where nobody asked for it or it
    cannot be decompressed. ``inode`` says which file it was.
    """

    inode: int
    size: int
    digest: str | None
    diff_id: str | None = None
    failure: str = ""


async def read_blobs(blobs: BlobStore, layers: Collection[str], report: Report) -> dict[str, Reading]:
    """Read every blob that is here, those among ``layers`` through their compression.

    Reports progress in bytes. Blobs that are deleted meanwhile are left out.
    When the caller is cancelled, the threads have ended before this returns.
    """
    loop = asyncio.get_running_loop()
    watch = Watch(lambda progress: loop.call_soon_threadsafe(report, progress))
    work = asyncio.create_task(asyncio.to_thread(_read_all, blobs, layers, watch))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        watch.interrupt()
        await asyncio.wait({work})
        work.exception()  # it was Interrupted, or ended too late for anybody to hear of it
        raise


def _read_all(blobs: BlobStore, layers: Collection[str], watch: Watch) -> dict[str, Reading]:
    digests = sorted(blobs.digests())
    advance = _meter(watch, blobs.usage())
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="blob reader") as pool:
        found = pool.map(lambda digest: _read(blobs, digest, digest in layers, advance), digests)
        return {digest: reading for digest, reading in zip(digests, found, strict=True) if reading}


def _read(blobs: BlobStore, digest: str, is_layer: bool, advance: Callable[[int], None]) -> Reading | None:
    try:
        with blobs.path(digest).open("rb") as file:
            status = os.fstat(file.fileno())
            try:
                found, diff_id = _digests(file, is_layer, advance)
            except OSError as error:
                return Reading(status.st_ino, status.st_size, None, failure=error.strerror or str(error))
            return Reading(status.st_ino, status.st_size, found, diff_id)
    except FileNotFoundError:
        return None


def _digests(file: IO[bytes], is_layer: bool, advance: Callable[[int], None]) -> tuple[str, str | None]:
    """The digests of a blob's bytes and, for a layer, of what they stand for."""
    compression = detect(file.read(_HEAD)) if is_layer else None
    file.seek(0)
    tap = _Tap(file, advance)
    diff_id: str | None = None
    if compression is not None:
        content = hashlib.sha256()
        reader = decompressed(tap, compression)
        # Where it cannot be decompressed its digest tells why, and there is no diff id.
        with suppress(InvalidRequest), decompressing("a layer"):
            while data := reader.read(_CHUNK):
                content.update(data)
            diff_id = f"sha256:{content.hexdigest()}"
    while tap.read(_CHUNK):
        pass
    return tap.digest, diff_id if compression is not None or not is_layer else tap.digest


class _Tap:
    """A reader that hashes all that passes through it."""

    def __init__(self, source: IO[bytes], advance: Callable[[int], None]) -> None:
        self._source = source
        self._advance = advance
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        self._advance(len(data))
        return data


def _meter(watch: Watch, total: int) -> Callable[[int], None]:
    """A function that adds to the bytes read, reports them once a MiB, and stops when nobody waits."""
    lock, current, reported = threading.Lock(), 0, -_CHUNK

    def advance(more: int) -> None:
        nonlocal current, reported
        with lock:
            current += more
            due = current - reported >= _CHUNK
            if due:
                reported = current
        if due:
            watch.report(Progress(_STATUS, "blobs", current, max(total, current)))
        else:
            watch.breathe()

    return advance
