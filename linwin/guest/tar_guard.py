"""Looks at an archive that a guest's agent sends, as it passes. No I/O.

Who copies files out of a container unpacks what the guest says, and the guest
is hostile. So a member has to be a file, a folder or a link, to lie below what
was asked for, in a folder that came before it: nothing leads out of the place
where it is unpacked, and nothing is written through a link.

Format: POSIX.1-2017, "pax", as Go's archive/tar writes it.
"""

from __future__ import annotations

import struct

from linwin.guest.messages import Malformed

BLOCK = 512
# name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version, …, prefix
HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
LARGEST_RECORDS = 1 << 20
LARGEST_SIZE = 1 << 60
DEEPEST = 1_000
FILE, LINK, FOLDER, RECORDS = b"0", b"2", b"5", b"x"
ANOTHER_NAME = b"GNU.sparse."
"""Records of sparse files, one of which tools take for the name before all others."""
ZEROS = bytes(BLOCK)


class TarGuard:
    """Takes an archive in pieces, chunked in any way. Holds one header at most. Raises Malformed."""

    def __init__(self, base: str) -> None:
        """``base`` is what the first member has to be called."""
        self._base = base.rstrip("/")
        self._folders: list[str] | None = None
        """The folders from the first member down to the one at hand; None before the first."""
        self._held = bytearray()
        self._skip = 0
        self._wanted = 0
        self._records: dict[bytes, bytes] = {}
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Check the next bytes."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            need = (self._wanted or BLOCK) - len(self._held)
            self._held += data[at : at + need]
            at += min(need, len(data) - at)
            if len(self._held) == (self._wanted or BLOCK):
                self._take(bytes(self._held))
                self._held.clear()

    def end(self) -> None:
        """The stream is over: so has to be the archive."""
        if not self._ended or self._held or self._skip:
            raise Malformed("the archive ends too early")

    def _take(self, block: bytes) -> None:
        if self._wanted:
            self._wanted, self._records = 0, parsed(block)
        elif self._ended or block == ZEROS:
            if block != ZEROS:
                raise Malformed("the archive goes on behind its end")
            self._ended = True
        else:
            self._header(block)

    def _header(self, block: bytes) -> None:
        name, _, _, _, size_field, _, checksum, kind, _, magic, *_, prefix = HEADER.unpack(block)
        if octal(checksum) != sum(block) - sum(checksum) + 8 * 32 or magic != b"ustar\0":
            raise Malformed("the archive has a damaged header")
        if kind == RECORDS:
            size = octal(size_field)
            if not 0 < size <= LARGEST_RECORDS or self._records:
                raise Malformed("the archive has an impossible extended header")
            self._wanted = size + -size % BLOCK
            return
        records, self._records = self._records, {}
        whole = b"/".join(part for part in (text(prefix), text(name)) if part)
        size = decimal(records[b"size"]) if b"size" in records else octal(size_field)
        if kind not in (FILE, LINK, FOLDER) or size > LARGEST_SIZE or (kind != FILE and size):
            raise Malformed("the archive has a member that is no file, folder or link")
        self._member(records.get(b"path", whole), is_folder=kind == FOLDER)
        self._skip = size + -size % BLOCK

    def _member(self, raw: bytes, *, is_folder: bool) -> None:
        name = raw.decode("utf-8", "surrogateescape")
        if is_folder:
            name = name.removesuffix("/")
        if self._folders is None:
            if name != self._base:
                raise Malformed("the archive begins with another name than what was asked for")
            self._folders = [name] if is_folder else []
            return
        parent, slash, last = name.rpartition("/")
        while self._folders and self._folders[-1] != parent:
            self._folders.pop()
        if not self._folders or not slash or last in ("", ".", "..") or "\\" in last or "\0" in last:
            raise Malformed("the archive has a name that lies elsewhere")
        if is_folder:
            if len(self._folders) == DEEPEST:
                raise Malformed("the archive's folders are too deep")
            self._folders.append(name)


def parsed(block: bytes) -> dict[bytes, bytes]:
    """The ``length key=value\\n`` records in a padded block."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(block) and block[at]:
        space = block.find(b" ", at, at + 10)
        length = decimal(block[at:space]) if space > at else 0
        record = block[space + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        if at + length > len(block) or not equals or not record.endswith(b"\n") or key in records:
            raise Malformed("the archive has a damaged extended header")
        if key.startswith(ANOTHER_NAME) or (key == b"path" and not value):
            raise Malformed("the archive has a record that gives a member another name")
        records[key] = value
        at += length
    return records


def decimal(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 20:
        raise Malformed("the archive has a number that is none")
    return int(digits)


def octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise Malformed("the archive has a number that is none")
    return int(digits or b"0", 8)


def text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
