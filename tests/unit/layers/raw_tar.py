"""Writes tar archives byte by byte: as Go's ``archive/tar`` does, or with whatever lie it is told.

Python's own tarfile ends folders' names in a slash, refuses unpaired surrogates
and never lies, so it cannot write what this project has to read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Self

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK = b"x", b"g", b"L", b"K"

HEADER = struct.Struct("<100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
MODES = {FILE: 0o100000, DIRECTORY: 0o040000, SYMBOLIC_LINK: 0o120000, HARD_LINK: 0}

Records = Mapping[str, str] | Iterable[tuple[bytes, bytes]]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def octal(value: int, width: int) -> bytes:
    """A header's number: octal digits and a NUL, or GNU's base 256 for what does not fit."""
    digits = b"%0*o" % (width - 1, value) if value >= 0 else b""
    if 0 < len(digits) < width:
        return digits + b"\0"
    number = value.to_bytes(width, "big", signed=True)
    return bytes([number[0] | 0x80]) + number[1:]


def header(
    name: bytes,
    *,
    type: bytes = FILE,
    size: int = 0,
    link: bytes = b"",
    mode: int = 0,
    mtime: int = 0,
    size_field: bytes | None = None,
    magic: bytes = b"ustar\0",
    prefix: bytes = b"",
) -> bytes:
    """One header block with a right checksum."""
    fields = [name, octal(mode, 8), octal(0, 8), octal(0, 8)]
    fields += [size_field or octal(size, 12), octal(mtime, 12), b" " * 8, type, link, magic]
    fields += [b"00" if magic == b"ustar\0" else b" \0", b"", b"", octal(0, 8), octal(0, 8), prefix]
    return checked(HEADER.pack(*fields))


def checked(block: bytes) -> bytes:
    """A header block with its checksum made right."""
    cleared = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(cleared) + block[156:]


def record(key: bytes, value: bytes) -> bytes:
    """One pax record, its own length in front."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %s=%s\n" % (length, key, value)


def wtf8(text: str) -> bytes:
    """UTF-8 in which unpaired surrogates pass, as Go writes Windows' names."""
    return text.encode("utf-8", "surrogatepass")


def records(pax: Records) -> bytes:
    if isinstance(pax, Mapping):
        pax = [(wtf8(key), wtf8(pax[key])) for key in sorted(pax)]
    return b"".join(record(key, value) for key, value in pax)


def extended(pax: Records, *, type: bytes = PAX) -> bytes:
    """An extended header with its records."""
    data = records(pax)
    return header(b"PaxHeaders.0/entry", type=type, size=len(data)) + padded(data)


def member(
    name: str,
    data: bytes = b"",
    *,
    type: bytes = FILE,
    link: str = "",
    mode: int | None = None,
    mtime: int = 0,
    pax: Mapping[str, str] | None = None,
) -> bytes:
    """One entry as Go writes it: what does not fit its header goes into pax records."""
    pax = dict(pax or {})
    if len(wtf8(name)) > 100 or not name.isascii():
        pax["path"] = name
    if len(wtf8(link)) > 100 or not link.isascii():
        pax["linkpath"] = link
    block = header(
        name.encode("ascii", "replace")[:100],
        type=type,
        size=len(data),
        link=link.encode("ascii", "replace")[:100],
        mode=MODES[type] if mode is None else mode,
        mtime=mtime,
    )
    return (extended(pax) if pax else b"") + block + padded(data)


class RawTar:
    """Collects members, in order."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(
        self,
        name: str,
        data: bytes = b"",
        *,
        type: bytes = FILE,
        link: str = "",
        mode: int | None = None,
        mtime: int = 0,
        pax: Mapping[str, str] | None = None,
    ) -> Self:
        return self.raw(member(name, data, type=type, link=link, mode=mode, mtime=mtime, pax=pax))

    def raw(self, data: bytes) -> Self:
        self._pieces.append(data)
        return self

    def bytes(self) -> bytes:
        return b"".join(self._pieces) + END
