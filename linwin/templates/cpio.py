"""Writes the "newc" cpio archives that the kernel unpacks as its first root.

Format: Linux' Documentation/driver-api/early-userspace/buffer-format.rst. The
archive depends on the entries alone: owner 0, time 0, inode numbers in order.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a folder where ``data`` is None; ``path`` is relative to the root."""

    path: str
    data: bytes | None = None
    executable: bool = False

    @property
    def mode(self) -> int:
        if self.data is None:
            return stat.S_IFDIR | 0o755
        return stat.S_IFREG | (0o755 if self.executable else 0o644)


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive of ``entries``, with the folders they lie in, in order of their paths.

    Raises ValueError for a path that is absolute, climbs, or occurs twice.
    """
    out = bytearray()
    for inode, entry in enumerate(_with_parents(entries), start=1):
        _append(out, entry.path, entry.mode, inode, entry.data or b"")
    _append(out, _TRAILER, 0, 0, b"")
    return bytes(out)


def _with_parents(entries: Iterable[Entry]) -> Iterator[Entry]:
    found: dict[PurePosixPath, Entry] = {}
    for entry in entries:
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"{entry.path!r} is not a path inside the archive")
        if path in found:
            raise ValueError(f"{entry.path!r} occurs twice")
        found[path] = entry
    for path in list(found):
        for parent in path.parents[:-1]:
            folder = found.setdefault(parent, Entry(str(parent)))
            if folder.data is not None:
                raise ValueError(f"{str(parent)!r} is both a file and a folder")
    return (found[path] for path in sorted(found, key=lambda path: path.parts))


def _append(out: bytearray, path: str, mode: int, inode: int, data: bytes) -> None:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, nlink, mtime, filesize, device and rdevice (two each), namesize, check
    fields = (inode, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name), 0)
    out += _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += data
    out += bytes(-len(out) % 4)
