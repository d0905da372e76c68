"""Cells of a hive that is being changed: taken, given back, rewritten.

What is free in the bins that a change touches anyway is used first, so that no
other page of the file changes; only then is a bin added at the end.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, insort

from linwin.layers.errors import Malformed
from linwin.layers.hives.cells import BIN_HEADER, BIN_HEADER_SIZE, SMALLEST_CELL
from linwin.layers.hives.header import LARGEST, PAGE, SIZE, write_base_block
from linwin.layers.hives.names import Fold
from linwin.layers.hives.regf import Hive
from linwin.layers.hives.storage import Writable

MOST_FREE = 1 << 17
"""Free cells that are remembered; more are left alone, which wastes them and no memory."""
GRANULE = 64
"""Lists grow one element at a time; their cells do in steps of this."""


class EditableHive(Hive):
    """A hive whose cells can be changed. All methods raise Malformed."""

    def __init__(self, file: Writable, fold: Fold) -> None:
        self._file = file
        self._sizes: list[tuple[int, int]] = []  # (size, offset) of free cells, ascending
        self._sizes_at: dict[int, int] = {}
        self._offsets_ending: dict[int, int] = {}
        self.is_changed = False
        super().__init__(file, fold, self._offer)

    def allocate(self, content: bytes) -> int:
        """A new cell with this content; its offset."""
        size = cell_size(len(content))
        offset = self._take(size)
        self._write(offset, struct.pack("<i", -size) + content.ljust(size - 4, b"\0"))
        return offset

    def free(self, offset: int) -> None:
        size = self.cells.size(offset)
        start, end = offset, offset + size
        if end in self._sizes_at:
            end += self._withdraw(end)
            self.cells.starts.remove(offset + size)
        if start in self._offsets_ending:
            self.cells.starts.remove(start)
            start = self._offsets_ending[start]
            self._withdraw(start)
        self._write(start, struct.pack("<i", end - start))
        self._offer(start, end - start)

    def rewrite(self, offset: int, content: bytes) -> int:
        """Give a cell another content, elsewhere if it does not fit; its offset from now on."""
        if len(content) <= self.cells.size(offset) - 4:
            self._write(offset + 4, content)
            return offset
        self.free(offset)
        return self.allocate(content.ljust(-(-(len(content) + 4) // GRANULE) * GRANULE - 4, b"\0"))

    def patch(self, offset: int, position: int, data: bytes) -> None:
        """Overwrite a few bytes in a cell's content."""
        if self.cells.size(offset) - 4 < position + len(data):
            raise Malformed(f"the cell at {offset:#x} is too small")
        self._write(offset + 4 + position, data)

    def finish(self) -> None:
        """Bring the header up to date, if anything was changed."""
        if self.is_changed:
            write_base_block(self._file, (self.block.sequence + 1) & 0xFFFFFFFF, self.cells.data_size)

    # ---- free cells -----------------------------------------------------------

    def _take(self, size: int) -> int:
        """The smallest free cell that is large enough, cut to size."""
        place = bisect_left(self._sizes, (size, 0))
        if place == len(self._sizes):
            self._add_bin(size)
            place = bisect_left(self._sizes, (size, 0))
        found, offset = self._sizes[place]
        self._withdraw(offset)
        if found > size:
            self.cells.starts.add(offset + size)
            self._write(offset + size, struct.pack("<i", found - size))
            self._offer(offset + size, found - size)
        return offset

    def _offer(self, offset: int, size: int) -> None:
        if len(self._sizes) < MOST_FREE:
            insort(self._sizes, (size, offset))
            self._sizes_at[offset] = size
            self._offsets_ending[offset + size] = offset

    def _withdraw(self, offset: int) -> int:
        size = self._sizes_at.pop(offset)
        del self._offsets_ending[offset + size]
        del self._sizes[bisect_left(self._sizes, (size, offset))]
        return size

    def _add_bin(self, room: int) -> None:
        start = self.cells.data_size
        size = -(-(room + BIN_HEADER_SIZE) // PAGE) * PAGE
        if start + size > LARGEST:
            raise Malformed("it would become larger than a hive can be")
        header = BIN_HEADER.pack(b"hbin", start, size, 0).ljust(BIN_HEADER_SIZE, b"\0")
        free = struct.pack("<i", size - BIN_HEADER_SIZE)
        self._write(start, (header + free).ljust(size, b"\0"))
        self.cells.add_bin(start, start + size)
        self.cells.starts.add(start + BIN_HEADER_SIZE)
        self._offer(start + BIN_HEADER_SIZE, size - BIN_HEADER_SIZE)

    def _write(self, at: int, data: bytes) -> None:
        self.is_changed = True
        self._file.write(SIZE + at, data)


def cell_size(content: int) -> int:
    """Bytes of the cell for a content of so many."""
    return max(SMALLEST_CELL, (content + 4 + 7) & ~7)
