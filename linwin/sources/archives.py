"""Archives that ADD unpacks, and those that linwin made of a C:, under other names.

What a member carries (content, times, the records of a Windows layer) stays; its name changes,
and that of the file which it is a hard link to.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from linwin.layers import tar
from linwin.layers.copied import choose, parts_of
from linwin.layers.encode import MODES, block, fits, padding, record
from linwin.layers.errors import Malformed
from linwin.layers.reader import Reading
from linwin.layers.tar import TarReader
from linwin.sources.contents import View, begins_tar
from linwin.sources.spool import first_block, no_space

DAMAGED = "Make the archive again, or COPY it to have it as a file."
RENAMED = ("path", "linkpath", "size")
"""The records that say what is written anew."""
LARGEST_OCTAL = 8**11 - 1

Write = Callable[[bytes], object]


class Section(io.RawIOBase):
    """A part of a context's tar as a file of its own."""

    def __init__(self, view: View, offset: int, size: int) -> None:
        self._view = view
        self._start, self._end = offset, offset + size
        self._at = offset

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._view[self._at : min(self._at + len(buffer), self._end)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._end}[whence]
        self._at = max(self._start, base + offset)
        return self._at - self._start


def section(view: View, offset: int, size: int) -> BinaryIO:
    return io.BufferedReader(Section(view, offset, size))


def is_archive(view: View, offset: int, size: int) -> bool:
    """Whether ADD would unpack it: it is a tar, plain or compressed, with something in it."""
    file = section(view, offset, size)
    try:
        return begins_tar(first_block(choose(file)(file)))
    except Malformed:
        return False


def unpack(file: BinaryIO, what: str, target: str, write: Write, room: int) -> None:
    """Write the members of an archive as they are to lie in the folder ``target``.

    ``what`` names the archive to its users. Raises InvalidRequest, naming the entry, and
    Unavailable for what expands to more than ``room`` bytes.
    """
    _each(file, what, room, write, lambda parts: join(target, parts))


def rename(archive: Path, target: str, write: Write) -> None:
    """Write the members of an archive that linwin made, whose first becomes ``target``."""
    with archive.open("rb") as file:
        size = archive.stat().st_size
        first: list[tuple[str, ...]] = []

        def place(parts: tuple[str, ...]) -> str:
            if not first:
                first.append(parts)
            if parts[: len(first[0])] != first[0]:
                raise Malformed("it lies outside of what was to be read")
            return join(target, parts[len(first[0]) :])

        _each(file, "what was read of the C:", size, write, place, is_copy=True)


def join(folder: str, parts: tuple[str, ...]) -> str:
    return "/".join([folder, *parts] if folder else parts)


def _each(
    file: BinaryIO,
    what: str,
    room: int,
    write: Write,
    place: Callable[[tuple[str, ...]], str],
    *,
    is_copy: bool = False,
) -> None:
    """Write each member where ``place`` puts it. ``is_copy`` is for an archive whose first is its root."""
    reading = Reading(what, DAMAGED)
    source = Pieces(choose(file)(file), room)
    with reading.translated():
        archive = reading.archive = TarReader(source.read, home="on a Windows volume")
        is_root = is_copy
        for member in archive:
            parts = parts_of(member.name)
            path = place(parts)
            skipped = member.type == tar.DIRECTORY and (is_root or not parts)
            is_root = False
            if skipped:
                continue  # the target itself, which keeps what it has
            if not path:
                raise Malformed("its name is no file's")
            link = member.linkname
            if member.type == tar.HARD_LINK:
                link = place(parts_of(link))
            write(header(member, path, link))
            while data := archive.read(1 << 20):
                write(data)
            write(padding(member.size))


def header(member: tar.Member, name: str, link: str) -> bytes:
    """The header blocks of a member that got another name."""
    if member.type == tar.DIRECTORY:
        name += "/"
    pax = {key: value for key, value in member.pax.items() if key not in RENAMED}
    if not fits(name):
        pax["path"] = name
    if not fits(link):
        pax["linkpath"] = link
    if member.size > LARGEST_OCTAL:
        pax["size"] = str(member.size)
    if not 0 <= member.mtime <= LARGEST_OCTAL:
        pax.setdefault("mtime", str(member.mtime))
    seconds = max(0, min(member.mtime, LARGEST_OCTAL))
    own = block(name, member.type, MODES[member.type], member.size, seconds, link)
    if not pax:
        return own
    records = b"".join(record(key, value) for key, value in pax.items())
    extended = block("PaxHeaders/entry", tar.PAX, MODES[tar.PAX], len(records), 0, "")
    return extended + records + padding(len(records)) + own


class Pieces:
    """Bytes that come in pieces, to be read as many at a time as are wanted."""

    def __init__(self, pieces: Iterator[bytes], room: int) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0
        self._room = room

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end only. Raises Unavailable past ``room`` bytes."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._room -= len(piece)
            if self._room < 0:
                raise no_space("an archive was unpacked")
            self._piece, self._at = piece, 0
        data = self._piece[self._at : self._at + size]
        self._at += len(data)
        return data
