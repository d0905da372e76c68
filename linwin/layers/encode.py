"""What NTFS keeps of a file → the header of its tar member, as a Windows layer has it.

Format: POSIX.1-2017, "pax", with the records that go-winio's ``backuptar``
writes. Who does not know those takes the member for a plain file or folder.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from linwin.layers import tar
from linwin.layers.decode import ATTRIBUTES, CREATION_TIME, EPOCH, EXTENDED_ATTRIBUTE, TICKS_PER_SECOND
from linwin.layers.entries import Metadata

END = bytes(2 * tar.BLOCK)
"""What closes an archive."""

FILE_ATTRIBUTE_READONLY = 0x1
LARGEST_OCTAL = 8**11 - 1
MODES = {
    tar.FILE: 0o755,
    tar.DIRECTORY: 0o755,
    tar.SYMBOLIC_LINK: 0o777,
    tar.HARD_LINK: 0o755,
    tar.PAX: 0o644,
}
"""docker's on Windows: everything can be executed."""


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
    pax = {**windows_records(metadata), **dict(records)}
    if not fits(name):
        pax["path"] = name
    if not fits(link):
        pax["linkpath"] = link
    if size > LARGEST_OCTAL:
        pax["size"] = str(size)
    mode = MODES[kind]
    if kind == tar.FILE and metadata.attributes & FILE_ATTRIBUTE_READONLY:
        mode &= 0o555
    seconds = max(0, min((metadata.modified - EPOCH) // TICKS_PER_SECOND, LARGEST_OCTAL))
    extended = b"".join(record(key, value) for key, value in pax.items())
    return (
        block("PaxHeaders/entry", tar.PAX, MODES[tar.PAX], len(extended), 0, "")
        + extended
        + padding(len(extended))
        + block(name, kind, mode, size, seconds, link)
    )


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
