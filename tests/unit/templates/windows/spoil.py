"""What can be wrong with a disk that somebody has, done to one with which nothing is."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from linwin.templates.windows import hive
from linwin.templates.windows.hive import Edits
from tests.unit.templates.windows import disks, media


def fingerprint(path: Path) -> tuple[str, int, int]:
    """Changes when the file's content, its size or its times do. Holes are not read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # a hole until the end
                break
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            digest.update(f"{at} {end}".encode())
            while at < end:
                block = os.pread(file.fileno(), min(1 << 20, end - at), at)
                digest.update(block)
                at += len(block)
    return digest.hexdigest(), size, path.stat().st_mtime_ns


def write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def on_volume(raw: Path, spoil: Callable[[Path], object]) -> None:
    """Have something done to C: in a file of its own."""
    c = raw.with_name("spoilt.ntfs")
    size = disks.SIZE - disks.TAIL - disks.C_START
    words = ["bs=1M", "conv=notrunc,sparse", "status=none"]
    place = ["iflag=skip_bytes,count_bytes", f"skip={disks.C_START}", f"count={size}"]
    media.run("dd", f"if={raw}", f"of={c}", *words, *place)
    os.truncate(c, size)
    spoil(c)
    words = ["bs=1M", "conv=notrunc", "status=none"]  # what became empty has to become so there
    media.run("dd", f"if={c}", f"of={raw}", *words, "oflag=seek_bytes", f"seek={disks.C_START}")
    c.unlink()


async def with_hive(raw: Path, name: str, edits: Edits) -> None:
    """Edit a hive on C:."""
    path = raw.with_name(name)

    def fetch(c: Path) -> None:
        path.write_bytes(media.run("ntfscat", c, f"{media.CONFIG}/{name}"))

    def put(c: Path) -> None:
        media.run("ntfscp", "-q", c, path, f"{media.CONFIG}/{name}")

    await asyncio.to_thread(on_volume, raw, fetch)
    await hive.merge(path, edits)
    await asyncio.to_thread(on_volume, raw, put)
