"""A strict reader of tar streams: ustar with pax records, and GNU's long names.

Python's tarfile takes a damaged header in mid-archive for the archive's end,
and keeps every member it saw. Layers come from strangers, so here a header is
right or the archive is refused, and nothing is kept.

Formats: POSIX.1-2017, "pax"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from linwin.layers.errors import Malformed

BLOCK = 512
LARGEST_HEADER = 1 << 20
"""Bytes of pax records or long name that one entry may have. A descriptor of 64 KiB in base64 fits well."""

LARGEST_SIZE = 1 << 60

ZERO_BLOCK = bytes(BLOCK)

# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version,
# user, group, device numbers, prefix
HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")

FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK = b"x", b"g", b"L", b"K"


@dataclass(slots=True)
class Member:
    """One entry: ``type`` is one of FILE, HARD_LINK, SYMBOLIC_LINK and DIRECTORY.

    ``mtime`` is the header's, in whole seconds since the epoch; records in
    ``pax`` that refine it, or anything but path, link path and size, are left
    to the caller.
    """

    name: str
    type: bytes
    size: int
    mtime: int
    linkname: str
    pax: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Extensions:
    """What header blocks before an entry's own said about it."""

    pax: dict[str, str] = field(default_factory=dict)
    long_name: str | None = None
    long_link: str | None = None


class TarReader:
    """Iterates over the members of an archive; between two, ``read`` gives the first one's data.

    ``source(n)`` returns at most n bytes, and none at the end of the stream.
    The iteration ends behind the archive's closing zero block. Raises Malformed.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._source = source
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        extensions = Extensions()
        while (block := self._next_header()) != ZERO_BLOCK:
            member = parse_header(block)
            if member.type in (PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK):
                self._extend(extensions, member)
                continue
            finish(member, extensions)
            extensions = Extensions()
            self._begin_data(member.size)
            yield member
        if extensions != Extensions():
            raise Malformed("an extended header has no entry behind it")

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes of the current member's data, none when it has ended."""
        if not self._left:
            return b""
        data = self._source(min(size, self._left))
        if not data:
            truncated()
        self._left -= len(data)
        return data

    def _begin_data(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _next_header(self) -> bytes:
        while self._left:
            self.read(1 << 20)
        if self._padding:
            self._exactly(self._padding)
        return self._exactly(BLOCK)

    def _exactly(self, size: int) -> bytes:
        data = self._source(size)
        while len(data) < size:
            more = self._source(size - len(data))
            if not more:
                truncated()
            data += more
        return data

    def _extend(self, extensions: Extensions, member: Member) -> None:
        if member.size > LARGEST_HEADER:
            raise Malformed(f"an extended header of {member.size} bytes is too long")
        self._begin_data(member.size)
        data = self._exactly(member.size)
        self._left = 0
        if member.type == PAX:
            if extensions.pax:
                raise Malformed("it has two extended headers")
            extensions.pax = parse_pax(data)
        elif member.type == GNU_LONG_NAME:
            extensions.long_name = text(data)
        elif member.type == GNU_LONG_LINK:
            extensions.long_link = text(data)
        # Global records (git archive writes a comment) say nothing about a layer's entries.


def truncated() -> NoReturn:
    raise Malformed("the archive ends in the middle of it")


def parse_header(block: bytes) -> Member:
    """Decode one header block. Raises Malformed."""
    # fmt: off
    (name, _, _, _, size, mtime, checksum, kind, linkname, magic,
     _, _, _, _, _, prefix) = HEADER.unpack(block)
    # fmt: on
    if number(checksum, "checksum") != sum(block) - sum(checksum) + 8 * 32:
        raise Malformed("the tar header's checksum is wrong")
    whole = text(name)
    if magic == b"ustar\0" and prefix[0]:
        whole = f"{text(prefix)}/{whole}"
    if kind == b"\0":
        kind = DIRECTORY if whole.endswith("/") else FILE
    return Member(whole, kind, number(size, "size"), number(mtime, "time"), text(linkname))


def finish(member: Member, extensions: Extensions) -> None:
    """Complete a member by what its extended headers say. Raises Malformed."""
    pax = extensions.pax
    member.pax = pax
    member.name = pax.get("path", extensions.long_name or member.name)
    member.linkname = pax.get("linkpath", extensions.long_link or member.linkname)
    if member.type not in (FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY):
        raise Malformed(f"tar entries of type {member.type!r} have no place in a Windows layer")
    if "size" in pax:
        member.size = decimal(pax["size"], "size")
    if any(key.startswith("GNU.sparse.") for key in pax):
        raise Malformed("GNU's sparse files have no place in a Windows layer")
    if member.size > LARGEST_SIZE:
        raise Malformed(f"a size of {member.size} bytes is impossible")
    if member.type != FILE and member.size:
        raise Malformed("only a file can have data")


def number(field_bytes: bytes, what: str) -> int:
    """A header's number: octal digits, or GNU's base 256. Never negative except a time."""
    if field_bytes[0] & 0x80:
        value = int.from_bytes(field_bytes, "big", signed=True)
        if field_bytes[0] == 0x80:
            value = int.from_bytes(field_bytes[1:], "big")
        if value < 0 and what != "time":
            raise Malformed(f"the tar header's {what} is negative")
        return value
    digits = field_bytes.strip(b" \0")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise Malformed(f"the tar header's {what} is not a number")
    return int(digits, 8)


def decimal(value: str, what: str) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 20:
        raise Malformed(f"its {what} {value[:40]!r} is not a number")
    return int(value)


def text(data: bytes) -> str:
    """A NUL-terminated string. Windows' unpaired surrogates pass."""
    end = data.find(b"\0")
    return decode(data if end < 0 else data[:end])


def decode(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed("a name in its header is not UTF-8") from error


def parse_pax(data: bytes) -> dict[str, str]:
    """Decode ``length key=value\\n`` records. Raises Malformed."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 10)
        digits = data[at:space]
        if space < 0 or not digits.isdigit():
            raise Malformed("an extended header's record has no length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A or not equals:
            raise Malformed("an extended header's record does not have the length it claims")
        records[decode(key)] = decode(value)
        at = end
    return records
