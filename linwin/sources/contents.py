"""The tar of a build's context → what is in it and where, without unpacking it.

docker's clients pack whatever lies in a folder, so what Windows cannot have (pipes, devices,
names that are no UTF-8) counts only once it is to be copied. Formats: as :mod:`linwin.layers.tar`
has them, and GNU tar's sparse files, which are recognized.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from linwin.errors import InvalidRequest
from linwin.layers import quoted, tar
from linwin.layers.decode import EPOCH, TICKS_PER_SECOND, bounded, filetime
from linwin.layers.errors import Malformed
from linwin.sources.tree import File, Folder, Link, Node, Tree, Unusable

SPARSE = b"S"
MORE_SPARSE_AT, MORE_SPARSE_LATER_AT = 482, 504
"""Where GNU tar says that one more block of a sparse file's map follows: in the header, in such a block."""
WHY_SPARSE = "linwin does not read GNU tar's sparse files"
NOT_COPIED = {
    b"3": "a character device cannot be copied to Windows",
    b"4": "a block device cannot be copied to Windows",
    b"6": "a named pipe cannot be copied to Windows",
}
FILES = (tar.FILE, b"7", SPARSE)
"""What has data; a contiguous file is a file."""
TRUNCATED = "the archive ends in the middle of it"
BROKEN = "Send the context again; linwin takes what docker's clients pack, and what tar does."

View = mmap.mmap | bytes


@dataclass(slots=True)
class Member:
    """An entry. ``size`` bytes of data are at ``offset``; ``time`` is a FILETIME."""

    name: str
    kind: bytes
    offset: int
    size: int
    time: int
    link: str
    is_sparse: bool


class Members:
    """Iterates over the entries of a tar. Raises Malformed; ``name`` is then the entry at fault."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._at = 0
        self.name: str | None = None
        self.previous: str | None = None

    def __iter__(self) -> Iterator[Member]:
        pax: dict[str, str] = {}
        long_name = long_link = ""
        while block := self._header():
            name, kind, size, mtime, link = fields(block)
            if kind in tar.EXTENSIONS:
                data = self._data(size)
                if kind == tar.PAX:
                    pax = tar.parse_pax(data)
                elif kind == tar.GNU_LONG_NAME:
                    long_name = text(data)
                elif kind == tar.GNU_LONG_LINK:
                    long_link = text(data)
                continue
            self.name = pax.get("path") or long_name or name
            if kind == SPARSE:
                self._skip_map(block)
            yield self._member(kind, size, mtime, pax.get("linkpath") or long_link or link, pax)
            self.previous, self.name = self.name, None
            pax, long_name, long_link = {}, "", ""

    def _header(self) -> bytes:
        """The next block, none at the end: as for docker, it may lack the zeros that close an archive."""
        block = self._view[self._at : self._at + tar.BLOCK]
        if not block or block == tar.ZERO_BLOCK:
            return b""
        if len(block) < tar.BLOCK:
            raise Malformed("the archive ends in the middle of a header")
        self._at += tar.BLOCK
        return block

    def _data(self, size: int) -> bytes:
        """The data of an extended header."""
        if size > tar.LARGEST_HEADER:
            raise Malformed(f"an extended header of {size} bytes is too long")
        data = self._view[self._at : self._at + size]
        if len(data) < size:
            raise Malformed("the archive ends in the middle of an extended header")
        self._at += size + -size % tar.BLOCK
        return data

    def _member(self, kind: bytes, size: int, mtime: int, link: str, pax: dict[str, str]) -> Member:
        assert self.name is not None
        if kind not in FILES:
            size = 0
        elif in_pax := pax.get("size"):
            size = tar.decimal(in_pax, "size")
        time = filetime(pax["mtime"]) if "mtime" in pax else bounded(mtime * TICKS_PER_SECOND + EPOCH)
        is_sparse = kind == SPARSE or any(key.startswith("GNU.sparse.") for key in pax)
        name = pax.get("GNU.sparse.name") or self.name
        offset = self._at
        self._at += size + -size % tar.BLOCK
        if offset + size > len(self._view):
            raise Malformed(TRUNCATED)
        return Member(name, kind, offset, size, time, link, is_sparse)

    def _skip_map(self, block: bytes) -> None:
        more = block[MORE_SPARSE_AT]
        while more:
            following = self._view[self._at : self._at + tar.BLOCK]
            if len(following) < tar.BLOCK:
                raise Malformed(TRUNCATED)
            self._at += tar.BLOCK
            more = following[MORE_SPARSE_LATER_AT]


def fields(block: bytes) -> tuple[str, bytes, int, int, str]:
    """Name, type, size, time and link of a header block. Raises Malformed."""
    # fmt: off
    (name, _, _, _, size, mtime, _, kind, link, magic,
     _, _, _, _, _, prefix) = tar.HEADER.unpack(block)
    # fmt: on
    if not is_header(block):
        raise Malformed("the tar header's checksum is wrong")
    whole = text(name)
    if magic == b"ustar\0" and prefix[0]:
        whole = f"{text(prefix)}/{whole}"
    if kind == b"\0":
        kind = tar.DIRECTORY if whole.endswith("/") else tar.FILE
    return whole, kind, tar.number(size, "size"), tar.number(mtime, "time"), text(link)


def is_header(block: bytes) -> bool:
    """Whether a block has the checksum of a tar header. Raises Malformed where that is no number."""
    checksum = block[148:156]
    return tar.number(checksum, "checksum") == sum(block) - sum(checksum) + 8 * 32


def begins_tar(block: bytes) -> bool:
    """Whether a tar with something in it begins with this block."""
    if len(block) < tar.BLOCK or block == tar.ZERO_BLOCK:
        return False
    try:
        return is_header(block)
    except Malformed:
        return False


def text(data: bytes) -> str:
    """A NUL-terminated string. Bytes that are no UTF-8 become surrogates, as Python has them in names."""
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def read_tree(view: View) -> Tree:
    """All that is in a context's tar. Raises InvalidRequest, naming the entry."""
    tree = Tree()
    members = Members(view)
    with naming(members):
        for member in members:
            if (
                member.kind in (tar.HARD_LINK, *FILES, tar.DIRECTORY, tar.SYMBOLIC_LINK)
                or member.kind in NOT_COPIED
            ):
                tree.add(member.name, node_of(member, tree))
            else:
                what = tar.OTHER_TYPES.get(member.kind, f"a tar entry of type {member.kind!r}")
                raise Malformed(f"{what} has no place in a build context")
    return tree


def node_of(member: Member, tree: Tree) -> Node:
    match member.kind:
        case tar.DIRECTORY:
            return Folder(member.time)
        case tar.SYMBOLIC_LINK:
            return Link(member.link, member.time)
        case tar.HARD_LINK:
            return tree.linked(member.link)
        case kind if kind in NOT_COPIED:
            return Unusable(NOT_COPIED[kind])
        case _ if member.is_sparse:
            return Unusable(WHY_SPARSE)
        case _:
            return File(member.offset, member.size, member.time)


@contextmanager
def naming(members: Members) -> Iterator[None]:
    """Say of what is wrong with a context in which entry it is."""
    try:
        yield
    except Malformed as error:
        place = ""
        if members.name is not None:
            place = f", entry {quoted(members.name)}"
        elif members.previous is not None:
            place = f", behind entry {quoted(members.previous)}"
        raise InvalidRequest(f"the build context{place}: {error}", hint=BROKEN) from error
