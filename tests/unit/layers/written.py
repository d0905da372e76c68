"""What a layer's writer put into it, as the plain data that a volume has to show."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

TICKS = 10_000_000
EPOCH = 116_444_736_000_000_000
MOUNT_POINT, SYMLINK = 0xA0000003, 0xA000000C
READ_ONLY, HIDDEN, SYSTEM, FOLDER, ARCHIVE = 0x1, 0x2, 0x4, 0x10, 0x20
TEMPORARY, SPARSE, REPARSE, NOT_INDEXED = 0x100, 0x200, 0x400, 0x2000


@dataclass(frozen=True)
class Times:
    """FILETIMEs."""

    created: int
    modified: int
    changed: int
    accessed: int


@dataclass(frozen=True)
class Written:
    """One name on the volume, and all that NTFS keeps of it.

    ``attributes`` are the Win32 ones, FOLDER and REPARSE among them. ``security``
    is None where the layer gives none and the parent's is inherited, ``times``
    where it gives none. ``same_as`` are all the names of the file.
    """

    attributes: int
    times: Times | None = None
    data: bytes = b""
    security: bytes | None = None
    streams: Mapping[str, bytes] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    reparse: bytes = b""
    same_as: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        folder = "folder" if self.attributes & FOLDER else "file"
        return f"link to a {folder}" if self.reparse else folder


@dataclass(frozen=True)
class WrittenImage:
    """An image's layers as plain tars, the lowest first, and the volume that they make of an empty one."""

    layers: tuple[bytes, ...]
    volume: Mapping[str, Written]


def at(seconds: int, ticks: int = 0) -> int:
    """A FILETIME from seconds since 1970 and units of 100 ns."""
    return EPOCH + seconds * TICKS + ticks


def pax_time(filetime: int) -> str:
    """Seconds since 1970 as go-winio writes them: a fraction without closing zeros, a sign in front."""
    sign = "-" if filetime < EPOCH else ""
    seconds, ticks = divmod(abs(filetime - EPOCH), TICKS)
    return f"{sign}{seconds}.{ticks:07d}".rstrip("0").rstrip(".")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def reparse(tag: int, substitute: str, printed: str, flags: int = 0) -> bytes:
    """A REPARSE_DATA_BUFFER ([MS-FSCC] 2.1.2.4 and 2.1.2.5)."""
    first, second = (name.encode("utf-16-le") for name in (substitute, printed))
    if tag == MOUNT_POINT:
        offsets = struct.pack("<HHHH", 0, len(first), len(first) + 2, len(second))
        body = offsets + first + b"\0\0" + second + b"\0\0"
    else:
        body = struct.pack("<HHHHI", 0, len(first), len(first), len(second), flags) + first + second
    return struct.pack("<IHH", tag, len(body), 0) + body


def linked(file: Written, *names: str) -> dict[str, Written]:
    """One file under several names."""
    return dict.fromkeys(names, replace(file, same_as=frozenset(names)))


def relative(target: str) -> bytes:
    """The reparse data of a symbolic link whose target is relative."""
    return reparse(SYMLINK, target, target, 1)
