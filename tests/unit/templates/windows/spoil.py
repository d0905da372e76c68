"""What can be wrong with a disk that somebody has, done to one with which nothing is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
from collections.abc import Callable
from pathlib import Path

from dissect.ntfs import NTFS

from linwin.templates.windows import hive
from linwin.templates.windows.hive import Edits
from tests.unit.templates.windows import disks, media


def fingerprint(path: Path) -> tuple[str, int, int]:
    """Changes when the file's content, its size or its times do. Holes are not read."""
    digest, block = hashlib.sha256(), 1 << 20
    with path.open("rb") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // block * block
            except OSError:  # a hole until the end
                break
            if any(content := os.pread(file.fileno(), block, at)):
                digest.update(f"{at}:".encode() + content)
            at += block
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
    # What became empty has to become so there.
    media.run("fallocate", "--punch-hole", "--offset", str(disks.C_START), "--length", str(size), raw)
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


def open_journal(c: Path) -> None:
    """Make a volume's journal one that is in use, as after a fall of power.

    Format: NTFS-3G's logfile.h, "RESTART_PAGE_HEADER", "RESTART_AREA" and "LOG_CLIENT_RECORD".
    """
    with c.open("rb") as file:
        journal = NTFS(file).mft.get("$LogFile")
        ((first, _), *_) = journal.dataruns()
        size = journal.size()
    head = struct.pack("<4sHHqIIHhh", b"RSTR", 30, 9, 0, 4096, 4096, 48, 1, 1)
    sectors = struct.pack("<H", 1) + bytes(16)  # what the last words of sectors are, and were
    bits = 67 - size.bit_length()
    area = struct.pack("<qHHHHIHHqIHHII", 0, 1, 0xFFFF, 0, 0, bits, 208, 48, size, 0, 48, 64, 1, 0)
    client = struct.pack("<qqHHH6xI128s", 0, 0, 0xFFFF, 0xFFFF, 0, 8, "NTFS".encode("utf-16-le"))
    page = bytearray((head + sectors + area + client).ljust(4096, b"\0"))
    for sector in range(8):
        struct.pack_into("<H", page, sector * 512 + 510, 1)
    write(c, first * 4096, bytes(page) * 2)
