"""What NTFS keeps of a file → the header of its tar member, as a Windows layer has it.

Format: POSIX.1-2017, "pax", with the records that go-winio's ``backuptar``
writes. Who does not know those takes the member for a plain file or folder.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from linwin.layers import tar
from linwin.layers.decode import ATTRIBUTES, CREATION_TIME, EPOCH, EXTENDED_ATTRIBUTE, TICKS_PER_SECOND
from linwin.layers.entries import FILE_ATTRIBUTE_DIRECTORY, Metadata

END = bytes(2 * tar.BLOCK)
"""What closes an archive."""

FILE_ATTRIBUTE_READONLY = 0x1
MOUNT_POINT = "MSWINDOWS.mountpoint"
"""The record that makes a junction of a symbolic link."""
LARGEST_OCTAL = 8**11 - 1
MODES = {
    tar.FILE: 0o755,
    tar.DIRECTORY: 0o755,
    tar.SYMBOLIC_LINK: 0o777,
    tar.HARD_LINK: 0o755,
    tar.PAX: 0o644,
}
"""docker's on Windows: everything can be executed."""
TYPE_BITS = {tar.FILE: 0o100000, tar.DIRECTORY: 0o040000, tar.SYMBOLIC_LINK: 0o120000, tar.HARD_LINK: 0}
"""What the mode of a layer's entry has; a symbolic link to a folder has a folder's bit too."""


def member_header(
    name: str,
    kind: bytes,
    size: int,
    metadata: Metadata,
    *,
    link: str = "",
    records: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The header blocks of a member of type ``kind``; ``records`` are further pax records."""
    mode = MODES[kind]
    if kind == tar.FILE and metadata.attributes & FILE_ATTRIBUTE_READONLY:
        mode &= 0o555
    pax = {**windows_records(metadata), **dict(records)}
    return headers(name, kind, mode, size, whole_seconds(metadata.modified), link, pax)


def layer_header(
    name: str,
    kind: bytes,
    size: int = 0,
    metadata: Metadata | None = None,
    *,
    link: str = "",
    junction: bool = False,
) -> bytes:
    """The header blocks of a layer's entry, the same for the same arguments.

    Streams, hard links and whiteouts have no ``metadata`` of their own. The mode tells the type
    and nothing more, as docker's on Windows does.
    """
    mode, seconds = TYPE_BITS[kind], 0
    pax = {} if metadata is None else dict(sorted(windows_records(metadata).items()))
    if metadata is not None:
        seconds = whole_seconds(metadata.modified)
        if metadata.attributes & FILE_ATTRIBUTE_DIRECTORY:
            mode |= TYPE_BITS[tar.DIRECTORY]
    if junction:
        pax[MOUNT_POINT] = "1"
    return headers(name, kind, mode, size, seconds, link, pax)


def headers(
    name: str, kind: bytes, mode: int, size: int, seconds: int, link: str, pax: dict[str, str]
) -> bytes:
    """A header block, and before it a pax header of what it cannot hold and of ``pax``, if there is any."""
    if not fits(name):
        pax["path"] = name
    if not fits(link):
        pax["linkpath"] = link
    if size > LARGEST_OCTAL:
        pax["size"] = str(size)
    own = block(name, kind, mode, size, seconds, link)
    if not pax:
        return own
    extended = b"".join(record(key, value) for key, value in pax.items())
    before = block("PaxHeaders/entry", tar.PAX, MODES[tar.PAX], len(extended), 0, "")
    return before + extended + padding(len(extended)) + own


def whole_seconds(filetime: int) -> int:
    """FILETIME → what a header block can hold of it: seconds since 1970."""
    return max(0, min((filetime - EPOCH) // TICKS_PER_SECOND, LARGEST_OCTAL))


def padding(size: int) -> bytes:
    """What follows ``size`` bytes of a member's data."""
    return bytes(-size % tar.BLOCK)


def windows_records(metadata: Metadata) -> dict[str, str]:
    """The pax records of times, attributes, descriptor and extended attributes."""
    records = {
        "mtime": seconds_of(metadata.modified),
        "atime": seconds_of(metadata.accessed),
        "ctime": seconds_of(metadata.changed),
        CREATION_TIME: seconds_of(metadata.created),
        ATTRIBUTES: str(metadata.attributes),
    }
    if metadata.security:
        records["MSWINDOWS.rawsd"] = base64.b64encode(metadata.security).decode()
    for name, value in metadata.extended:
        records[EXTENDED_ATTRIBUTE + name] = base64.b64encode(value).decode()
    return records


def seconds_of(filetime: int) -> str:
    """FILETIME → ``seconds[.fraction]`` since 1970."""
    ticks = filetime - EPOCH
    sign = "-" if ticks < 0 else ""
    seconds, fraction = divmod(abs(ticks), TICKS_PER_SECOND)
    return f"{sign}{seconds}.{fraction:07d}".rstrip("0").rstrip(".")


def record(key: str, value: str) -> bytes:
    """One pax record, whose length counts its own digits."""
    body = f" {key}=".encode("utf-8", "surrogatepass") + value.encode("utf-8", "surrogatepass") + b"\n"
    length = len(body) + 1
    while len(body) + len(str(length)) != length:
        length = len(body) + len(str(length))
    return str(length).encode() + body


def fits(name: str) -> bool:
    """Whether a header block can hold a name."""
    return name.isascii() and len(name) <= 100


def block(name: str, kind: bytes, mode: int, size: int, seconds: int, link: str) -> bytes:
    """One header block; what does not fit is what a pax record before it says."""
    fields = (
        shortened(name),
        octal(mode, 8),
        octal(0, 8),
        octal(0, 8),
        octal(min(size, LARGEST_OCTAL), 12),
        octal(seconds, 12),
        b" " * 8,
        kind,
        shortened(link),
        b"ustar\0",
        b"00",
        b"",
        b"",
        octal(0, 8),
        octal(0, 8),
        b"",
    )
    packed = tar.HEADER.pack(*fields)
    return packed[:148] + f"{sum(packed):06o}\0 ".encode() + packed[156:]


def shortened(name: str) -> bytes:
    return name.encode("ascii", "replace")[:100]


def octal(value: int, width: int) -> bytes:
    return f"{value:0{width - 1}o}\0".encode()
