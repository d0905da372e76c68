"""Lists of subkeys: index, fast and hash leaves (``li``, ``lf``, ``lh``), and roots (``ri``) of leaves.

Entries are sorted by the folded names of their keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives import names

HEADER = struct.Struct("<2sH")
WIDTHS = {b"li": 4, b"ri": 4, b"lf": 8, b"lh": 8}
MOST_IN_LEAF = 500
"""Windows' own leaves fill a page at most."""
MOST_IN_ROOT = 0xFFFF


class SubkeyList:
    """A list as its cell holds it. The elements of a root are offsets of leaves, others' of keys."""

    def __init__(self, kind: bytes, entries: bytes = b"") -> None:
        self.kind = kind
        self._width = WIDTHS[kind]
        self._entries = bytearray(entries)

    @classmethod
    def parse(cls, cell: bytes) -> SubkeyList:
        """Raises Malformed."""
        kind, count = HEADER.unpack_from(cell)
        if kind not in WIDTHS:
            raise Malformed("there is no list of subkeys where one should be")
        end = HEADER.size + count * WIDTHS[kind]
        if not count or end > len(cell):
            raise Malformed(f"a list of {count} subkeys does not fit its cell")
        return cls(kind, cell[HEADER.size : end])

    def pack(self) -> bytes:
        return HEADER.pack(self.kind, len(self)) + self._entries

    @property
    def is_root(self) -> bool:
        return self.kind == b"ri"

    def __len__(self) -> int:
        return len(self._entries) // self._width

    def __getitem__(self, index: int) -> int:
        offset: int = struct.unpack_from("<I", self._entries, index * self._width)[0]
        return offset

    def __iter__(self) -> Iterator[int]:
        return (self[index] for index in range(len(self)))

    def __setitem__(self, index: int, offset: int) -> None:
        struct.pack_into("<I", self._entries, index * self._width, offset)

    def insert(self, index: int, offset: int, name: str = "", folded: str = "") -> None:
        """Insert an element; a leaf needs the key's name, as it is and folded."""
        entry = struct.pack("<I", offset)
        if self.kind == b"lf":
            entry += names.hint(name)
        elif self.kind == b"lh":
            entry += struct.pack("<I", names.hash_of(folded))
        self._entries[index * self._width : index * self._width] = entry

    def remove(self, index: int) -> None:
        del self._entries[index * self._width : (index + 1) * self._width]

    def split(self) -> SubkeyList:
        """Cut the second half off and return it."""
        half = len(self) // 2 * self._width
        tail = SubkeyList(self.kind, bytes(self._entries[half:]))
        del self._entries[half:]
        return tail
