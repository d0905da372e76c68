"""A strict reader of tar streams: ustar with pax records, and GNU's long names.

Python's tarfile takes a damaged header in mid-archive for the archive's end,
and keeps every member it saw. Layers come from strangers, so here a header is
right or the archive is refused, and nothing is kept.

Formats: POSIX.1-2017, "pax"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from linwin.layers.errors import Malformed

BLOCK = 512
LARGEST_HEADER = 1 << 20
"""Bytes of pax records or long name that one entry may have. A descriptor of 64 KiB in base64 fits well."""

MOST_RECORDS = 5_000
"""Pax records of one entry. The extended attributes that fit into NTFS's 64 KiB are fewer."""

LARGEST_SIZE = 1 << 60
MOST_HEADERS = 10_000_000
"""Header blocks of one archive, those of extended headers among them."""

ZERO_BLOCK = bytes(BLOCK)
TRUNCATED = "the archive ends in the middle of it"
SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")

# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version,
# user, group, device numbers, prefix
HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")

FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY = b"0", b"1", b"2", b"5"
PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK = b"x", b"g", b"L", b"K"
EXTENSIONS = (PAX, PAX_GLOBAL, GNU_LONG_NAME, GNU_LONG_LINK)
OTHER_TYPES = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"7": "a contiguous file",
    b"D": "GNU tar's list of a folder",
    b"M": "the continuation of a file in another archive",
    b"S": "GNU tar's sparse file",
    b"V": "GNU tar's volume label",
}


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
    pax: dict[str, str]


@dataclass(slots=True)
class Header:
    """One header block: numbers and link name as they stand there, since a pax record may overrule them."""

    name: str
    type: bytes
    size: bytes
    mtime: bytes
    linkname: bytes


@dataclass(slots=True)
class Extensions:
    """What header blocks before an entry's own said about it."""

    pax: dict[str, str] = field(default_factory=dict)
    long_name: str | None = None
    long_link: str | None = None


class TarReader:
    """Iterates over the members of an archive; between two, ``read`` gives the first one's data.

    ``source(n)`` returns at most n bytes, and none at the end of the stream.
    The iteration ends behind the archive's closing zero block. Raises Malformed;
    ``name`` is then the entry at fault, None when it has no name yet, and
    ``previous`` the one before.
    """

    def __init__(self, source: Callable[[int], bytes], *, home: str = "in a Windows layer") -> None:
        """``home`` ends the sentence about what has no place there."""
        self._home = home
        self.name: str | None = None
        self.previous: str | None = None
        self._source = source
        self._left = 0
        self._padding = 0
        self._headers = 0

    def __iter__(self) -> Iterator[Member]:
        extensions = Extensions()
        while (block := self._next_header()) != ZERO_BLOCK:
            header = parse_header(block)
            if header.type in EXTENSIONS:
                self._extend(extensions, header)
                continue
            # A record without a value says nothing.
            self.name = extensions.pax.get("path") or extensions.long_name or header.name
            member = complete(header, self.name, extensions, self._home)
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
            raise Malformed(TRUNCATED)
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
            self._padding = 0
        if self.name is not None:
            self.previous, self.name = self.name, None
        self._headers += 1
        if self._headers > MOST_HEADERS:
            raise Malformed(f"the archive has more than {MOST_HEADERS} headers")
        return self._exactly(BLOCK, "the archive ends too early")

    def _exactly(self, size: int, otherwise: str = TRUNCATED) -> bytes:
        data = self._source(size)
        while len(data) < size:
            more = self._source(size - len(data))
            if not more:
                raise Malformed(otherwise)
            data += more
        return data

    def _extend(self, extensions: Extensions, header: Header) -> None:
        size = number(header.size, "size")
        if size > LARGEST_HEADER:
            raise Malformed(f"an extended header of {size} bytes is too long")
        self._begin_data(size)
        data = self._exactly(size, "the archive ends too early")
        self._left = 0
        if header.type == PAX:
            if extensions.pax:
                raise Malformed("an entry has two extended headers")
            extensions.pax = parse_pax(data)
        elif header.type == GNU_LONG_NAME:
            if extensions.long_name is not None:
                raise Malformed("an entry has two long names")
            extensions.long_name = text(data)
        elif header.type == GNU_LONG_LINK:
            if extensions.long_link is not None:
                raise Malformed("an entry has two long link names")
            extensions.long_link = text(data)
        # Global records (git archive writes a comment) say nothing about a layer's entries.


def parse_header(block: bytes) -> Header:
    """Take apart one header block. Raises Malformed."""
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
    return Header(whole, kind, size, mtime, linkname)


def complete(header: Header, name: str, extensions: Extensions, home: str) -> Member:
    """The member that a header and its extended headers stand for. Raises Malformed."""
    kind, pax = header.type, extensions.pax
    if kind not in (FILE, HARD_LINK, SYMBOLIC_LINK, DIRECTORY):
        what = OTHER_TYPES.get(kind, f"a tar entry of type {kind!r}")
        raise Malformed(f"{what} has no place {home}")
    if any(key.startswith("GNU.sparse.") for key in pax):
        raise Malformed(f"GNU's sparse files have no place {home}")
    in_pax = pax.get("size")
    size = decimal(in_pax, "size") if in_pax else number(header.size, "size")
    if size > LARGEST_SIZE:
        raise Malformed(f"a size of {size} bytes is impossible")
    if kind != FILE and size:
        raise Malformed("only a file can have data")
    linkname = pax.get("linkpath") or extensions.long_link or text(header.linkname)
    return Member(name, kind, size, number(header.mtime, "time"), linkname, pax)


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
    """UTF-8, in which Windows' unpaired surrogates pass; a pair has to be the one character it means."""
    try:
        decoded = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed(f"{data[:80]!r} in its header is not UTF-8") from error
    if not decoded.isascii() and SURROGATE_PAIR.search(decoded):
        raise Malformed(f"{data[:80]!r} in its header is not UTF-8")
    return decoded


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
        name = decode(key)
        if name in records:
            raise Malformed(f"an extended header has the record {name[:80]!r} twice")
        if len(records) == MOST_RECORDS:
            raise Malformed(f"an extended header has more than {MOST_RECORDS} records")
        records[name] = decode(value)
        at = end
    return records
