"""The disk: GPT with an EFI system partition, Microsoft's reserved one, and C:.

Everything is made in files. Volumes are made apart and copied to their places, holes staying holes:
neither wimlib nor mkntfs works inside of a larger file.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from linwin.errors import InvalidRequest
from linwin.host import process

SECTOR = 512
_MIB = 1 << 20
ESP_START, ESP_SIZE = 1 * _MIB, 100 * _MIB
RESERVED_START, RESERVED_SIZE = 101 * _MIB, 16 * _MIB
C_START = 117 * _MIB
"""Where C: begins, in bytes from the start of the disk."""
_TAIL = 1 * _MIB  # the second GPT lies in it
_SPARE = 512 * _MIB  # of C:, for Windows' first start
_OVERHEAD = 1.15  # of NTFS over the size of the files
# What a BIOS would say of a disk; NTFS' boot sector repeats it.
_HEADS, _TRACK = 255, 63
_STEP_TIMEOUT = 1800.0  # seconds
_COPY = 4 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk of ``size`` bytes, with the ids of its partitions."""

    size: int
    disk: UUID
    esp: UUID
    reserved: UUID
    windows: UUID

    @property
    def c_size(self) -> int:
        return self.size - _TAIL - C_START


def layout(size: int, content: int) -> Layout:
    """Ids at random for a disk of ``size`` bytes whose C: is to hold ``content`` bytes of files.

    Raises InvalidRequest for one that is too small.
    """
    needed = C_START + _TAIL + _SPARE + int(content * _OVERHEAD)
    if size < needed:
        raise InvalidRequest(
            f"a disk of {size / 2**30:.1f} GiB is too small: this Windows needs {needed / 2**30:.1f} GiB",
            hint="give more in the recipe, under disk.size_gib",
        )
    return Layout(size, uuid4(), uuid4(), uuid4(), uuid4())


async def make_volume(path: Path, made: Layout, label: str) -> None:
    """An empty NTFS volume whose boot sector says where on the disk it will lie. Raises Unavailable."""
    _sized(path, made.c_size)
    geometry = ["-p", str(C_START // SECTOR), "-H", str(_HEADS), "-S", str(_TRACK), "-s", str(SECTOR)]
    words = ["mkntfs", "--quick", "--force", "--quiet", "--cluster-size", "4096", *geometry, "--label", label]
    await process.run([*words, path], check=True, timeout=_STEP_TIMEOUT)


async def replace(volume: Path, files: Mapping[str, Path]) -> None:
    """Exchange the content of files of an NTFS volume; their descriptors stay. Raises Unavailable."""
    for name, source in files.items():
        await process.run(["ntfscp", "--quiet", volume, source, name], check=True, timeout=_STEP_TIMEOUT)


async def protect(volume: Path, restore: Path) -> None:
    """Set security descriptors on an NTFS volume (:mod:`linwin.templates.windows.security`).

    The program insists on being root, and on no right of root's: a user's own namespace will do.
    Raises Unavailable when not all could be set.
    """
    namespace = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user"]
    await process.run([*namespace, "ntfssecaudit", "-s", volume, restore], check=True, timeout=_STEP_TIMEOUT)


async def make_esp(path: Path, folder: Path) -> None:
    """A FAT32 volume that holds what ``folder`` does. Raises Unavailable."""
    _sized(path, ESP_SIZE)
    words = [
        "mkfs.fat",
        "-F",
        "32",
        "-n",
        "SYSTEM",
        "-h",
        str(ESP_START // SECTOR),
        "-g",
        f"{_HEADS}/{_TRACK}",
    ]
    await process.run([*words, path], check=True, timeout=_STEP_TIMEOUT)
    # -n: nobody is here to be asked about a name that is there twice.
    content = [folder / name for name in os.listdir(folder)]
    await process.run(["mcopy", "-s", "-n", "-i", path, *content, "::"], check=True, timeout=_STEP_TIMEOUT)


async def assemble(path: Path, made: Layout, *, esp: Path, c: Path) -> None:
    """The whole disk, raw. Raises Unavailable or OSError."""
    _sized(path, made.size)
    words = ["sgdisk", "--clear", f"--disk-guid={made.disk}", "--set-alignment=2048"]
    words += _partition(1, ESP_START, ESP_SIZE, "EF00", made.esp, "EFI system partition")
    words += _partition(
        2, RESERVED_START, RESERVED_SIZE, "0C01", made.reserved, "Microsoft reserved partition"
    )
    words += _partition(3, C_START, made.c_size, "0700", made.windows, "Basic data partition")
    await process.run([*words, path], check=True, timeout=_STEP_TIMEOUT)
    await asyncio.to_thread(_place, esp, path, ESP_START)
    await asyncio.to_thread(_place, c, path, C_START)


async def compress(source: Path, destination: Path) -> None:
    """A raw disk as a compressed qcow2. Raises Unavailable."""
    words = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd"]
    await process.run([*words, source, destination], check=True, timeout=_STEP_TIMEOUT)


def _partition(number: int, start: int, size: int, kind: str, identifier: UUID, name: str) -> list[str]:
    first = start // SECTOR
    return [
        f"--new={number}:{first}:{first + size // SECTOR - 1}",
        f"--typecode={number}:{kind}",
        f"--partition-guid={number}:{identifier}",
        f"--change-name={number}:{name}",
    ]


def _sized(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def _place(source: Path, disk: Path, offset: int) -> None:
    """Copy what ``source`` holds, and none of its holes, to ``offset`` of ``disk``."""
    with source.open("rb") as read, disk.open("r+b") as write:
        end = os.fstat(read.fileno()).st_size
        at = 0
        while (begin := next_data(read.fileno(), at)) is not None:
            at = os.lseek(read.fileno(), begin, os.SEEK_HOLE)
            for position in range(begin, min(at, end), _COPY):
                block = os.pread(read.fileno(), min(_COPY, at - position), position)
                write.seek(offset + position)
                write.write(block)


def next_data(fd: int, at: int) -> int | None:
    """Where in a file the next byte lies that is in no hole; None when there is none."""
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole until the end
            return None
        raise
