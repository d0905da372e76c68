"""Layers to measure with: as docker on Windows makes them, the same bytes each time.

Format: go-winio, ``backuptar``: pax records for times, attributes and descriptors.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512
POOL_BYTES = 8 << 20
FILES_A_FOLDER = 20
FOLDERS_A_FOLDER = 12

# O:BAG:SYD:(A;;FA;;;SY), as [MS-DTYP] 2.4.6 lays it out.
DESCRIPTOR = bytes.fromhex(
    "0100048014000000240000000000000030000000"
    "01020000000000052000000020020000"
    "010100000000000512000000"
    "02001c000100000000001400ff011f00010100000000000512000000"
)


@dataclass(frozen=True)
class Shape:
    """``files`` files below the folder ``top`` of C:, ``size`` bytes together."""

    files: int
    size: int
    top: str = "app"

    @property
    def name(self) -> str:
        return f"{self.top}-{self.files}-{self.size}"


@dataclass(frozen=True)
class StoredLayer:
    """A layer's plain tar and its diff id."""

    blob: Path
    diff_id: str


def stored(shape: Shape, folder: Path) -> StoredLayer:
    """The layer of that shape below ``folder``, written there when it is not yet."""
    blob, digest = folder / f"{shape.name}.tar", folder / f"{shape.name}.sha256"
    if not digest.exists():
        hashed = hashlib.sha256()
        with blob.open("wb") as file:
            for piece in layer(shape):
                hashed.update(piece)
                file.write(piece)
        digest.write_text(f"sha256:{hashed.hexdigest()}")
    return StoredLayer(blob, digest.read_text())


def layer(shape: Shape) -> Iterator[bytes]:
    """The bytes of a layer."""
    chance = random.Random(shape.name)
    pool = chance.randbytes(POOL_BYTES)
    yield entry("Files", b"5", 0, chance)
    yield entry(f"Files/{shape.top}", b"5", 0, chance)
    known = {""}
    for number, size in enumerate(sizes(shape, chance)):
        folder = folder_of(number // FILES_A_FOLDER)
        for parent in missing_parents(folder, known):
            yield entry(f"Files/{shape.top}/{parent}", b"5", 0, chance)
        yield entry(f"Files/{shape.top}/{folder}/file{number:06}.dat", b"0", size, chance)
        yield content(number, size, pool, chance)
    yield entry("Hives", b"5", 0, chance)
    yield bytes(2 * BLOCK)


def sizes(shape: Shape, chance: random.Random) -> list[int]:
    """Sizes of files as programs' folders have them: many small ones, and most bytes in few."""
    drawn = [chance.lognormvariate(0, 1.7) for _ in range(shape.files)]
    scale = shape.size / sum(drawn)
    return [int(value * scale) for value in drawn]


def folder_of(number: int) -> str:
    """Folders lie in each other three deep, in the order an exporter walks them."""
    middle = number // FOLDERS_A_FOLDER
    return f"part{middle // FOLDERS_A_FOLDER:03}/module{middle:04}/folder{number:05}"


def missing_parents(folder: str, known: set[str]) -> list[str]:
    parts = folder.split("/")
    parents = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    missing = [parent for parent in parents if parent not in known]
    known.update(missing)
    return missing


def content(number: int, size: int, pool: bytes, chance: random.Random) -> bytes:
    """Bytes that no other file has, filled up to whole blocks."""
    own = f"file {number}\n".encode()[:size]
    data = bytearray(own)
    while len(data) < size:
        start = chance.randrange(POOL_BYTES - 4096)
        data += pool[start : start + min(size - len(data), 1 << 20)]
    return bytes(data) + bytes(-size % BLOCK)


def entry(name: str, kind: bytes, size: int, chance: random.Random) -> bytes:
    """One entry's headers: pax records, then its own."""
    attributes = b"16" if kind == b"5" else b"32"
    times = (b"mtime", b"atime", b"ctime", b"LIBARCHIVE.creationtime")
    records = b"".join(record(key, moment(chance)) for key in times)
    records += record(b"MSWINDOWS.fileattr", attributes)
    records += record(b"MSWINDOWS.rawsd", base64.b64encode(DESCRIPTOR))
    padded = records + bytes(-len(records) % BLOCK)
    return header(b"PaxHeader", b"x", len(records)) + padded + header(name.encode(), kind, size)


def moment(chance: random.Random) -> bytes:
    """Some time between 2017 and 2033, to 100 ns."""
    return b"%d.%07d" % (1_500_000_000 + chance.getrandbits(29), chance.getrandbits(23))


def record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 2
    return str(length if length < 100 else length + 1).encode() + rest


def header(name: bytes, kind: bytes, size: int) -> bytes:
    """One ustar header block."""
    fields = (
        *(name.ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0"),
        *(f"{size:011o}".encode() + b"\0", b"13727410000\0", b" " * 8, kind, bytes(100)),
        *(b"ustar\x0000", bytes(247)),
    )
    block = b"".join(fields)
    checksum = f"{sum(block):06o}\0 ".encode()
    return block[:148] + checksum + block[156:]
