"""Cells of a hive that is written from nothing, one behind the other in as many bins as it takes."""

from __future__ import annotations

import struct

from linwin.layers.errors import Malformed
from linwin.layers.hives.allocator import cell_size
from linwin.layers.hives.cells import BIN_HEADER, BIN_HEADER_SIZE
from linwin.layers.hives.header import LARGEST, PAGE

BIN_WRITTEN = 20


class Bins:
    """The bins of a new hive. Offsets are of cells, and stay what they are.

    A cell is placed before its content is known, so that others can refer to it.
    Raises Malformed when it becomes larger than a hive can be.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._used = 0

    def place(self, size: int) -> int:
        """A cell for so many bytes of content; its offset."""
        wanted = cell_size(size)
        if self._used + wanted > len(self._data):
            self._begin_bin(wanted)
        offset = self._used
        struct.pack_into("<i", self._data, offset, -wanted)
        self._used += wanted
        return offset

    def fill(self, offset: int, content: bytes) -> None:
        """Give a cell its content, which is no longer than it was placed for."""
        self._data[offset + 4 : offset + 4 + len(content)] = content

    def store(self, content: bytes) -> int:
        """A cell with this content; its offset."""
        offset = self.place(len(content))
        self.fill(offset, content)
        return offset

    def finish(self, written: int) -> bytearray:
        """All bins, the last one closed; the first one repeats when the hive was written, a FILETIME."""
        self._close_bin()
        struct.pack_into("<Q", self._data, BIN_WRITTEN, written)
        return self._data

    def _begin_bin(self, room: int) -> None:
        self._close_bin()
        start = len(self._data)
        size = -(-(room + BIN_HEADER_SIZE) // PAGE) * PAGE
        if start + size > LARGEST:
            raise Malformed("it would become larger than a hive can be")
        self._data += BIN_HEADER.pack(b"hbin", start, size, 0).ljust(size, b"\0")
        self._used = start + BIN_HEADER_SIZE

    def _close_bin(self) -> None:
        """Make what is left of the last bin one free cell."""
        if left := len(self._data) - self._used:
            struct.pack_into("<i", self._data, self._used, left)
            self._used = len(self._data)
