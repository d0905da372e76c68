"""Hive bins and their cells, found and checked as they are asked for.

Only the bins that are touched are looked at, so that a change to a hive of
100 MB costs what the change does. A bin's cells are checked from its first to
its last before one of them is believed, and one bit for every possible cell
remembers where they begin.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives.header import PAGE, SIZE
from linwin.layers.hives.storage import Readable

BIN_HEADER = struct.Struct("<4sIII")
BIN_HEADER_SIZE = 32
SMALLEST_CELL = 8
WINDOW = 1 << 16
"""Bytes of a bin that are read at once."""


class BitSet:
    """A set of cell offsets: one bit for every eight bytes."""

    def __init__(self, size: int) -> None:
        self._bits = bytearray((size >> 6) + 1)

    def add(self, offset: int) -> None:
        self._bits[offset >> 6] |= 1 << (offset >> 3 & 7)

    def remove(self, offset: int) -> None:
        self._bits[offset >> 6] &= ~(1 << (offset >> 3 & 7))

    def grow(self, size: int) -> None:
        self._bits.extend(bytes((size >> 6) + 1 - len(self._bits)))

    def __contains__(self, offset: int) -> bool:
        return bool(self._bits[offset >> 6] >> (offset >> 3 & 7) & 1)


class Cells:
    """Read access to the cells of a hive, by their offset. Raises Malformed for what is none.

    ``found_free`` is told offset and size of the free cells of each bin that
    is looked at, neighbours taken together.
    """

    def __init__(
        self, file: Readable, data_size: int, found_free: Callable[[int, int], None] = lambda *_: None
    ) -> None:
        self._file = file
        self.data_size = data_size
        self._found_free = found_free
        self._looked_at = bytearray(data_size // PAGE)
        self.starts = BitSet(data_size)

    def read(self, offset: int) -> bytes:
        """The content of a cell that is in use, padding included."""
        return self._file.read(SIZE + offset + 4, self.size(offset) - 4)

    def size(self, offset: int) -> int:
        """Bytes of a cell that is in use, with the four that say so."""
        self.check_start(offset)
        size: int = struct.unpack("<i", self._file.read(SIZE + offset, 4))[0]
        if size >= 0:
            raise Malformed(f"the cell at {offset:#x} is used but marked as free")
        return -size

    def check_start(self, offset: int) -> None:
        """Refuse an offset at which no cell begins."""
        if offset % SMALLEST_CELL or not 0 <= offset < self.data_size:
            raise Malformed(f"the offset {offset:#x} is not within the hive")
        if not self._looked_at[offset // PAGE]:
            self._look_at(self._find_bin(offset))
        if offset not in self.starts:
            raise Malformed(f"no cell begins at {offset:#x}")

    def check_bins(self) -> None:
        """Look at every bin, each beginning where the last one ends."""
        start = 0
        while start < self.data_size:
            if not self._is_bin(start):
                raise Malformed(f"there is no hive bin at {start:#x}")
            start = self._look_at(start)

    def add_bin(self, start: int, end: int) -> None:
        """Know a bin that was made at the hive's end."""
        self.data_size = end
        self.starts.grow(end)
        self._looked_at.extend(b"\1" * ((end - start) // PAGE))

    # ---- bins ---------------------------------------------------------------

    def _find_bin(self, offset: int) -> int:
        """Go back from ``offset`` to the page that begins its bin."""
        for start in range(offset - offset % PAGE, -1, -PAGE):
            if self._is_bin(start):
                if offset < start + self._bin_header(start)[2]:
                    return start
                break
        raise Malformed(f"the offset {offset:#x} is in no hive bin")

    def _look_at(self, start: int) -> int:
        """Check the bin at ``start`` and its cells; return where it ends."""
        size = self._bin_header(start)[2]
        end = start + size
        if size < PAGE or size % PAGE or end > self.data_size:
            raise Malformed(f"the hive bin at {start:#x} has a size of {size}")
        pages = slice(start // PAGE, end // PAGE)
        if any(self._looked_at[pages]):
            raise Malformed(f"the hive bin at {start:#x} overlaps another")
        self._scan(start, end)
        self._looked_at[pages] = b"\1" * (size // PAGE)
        return end

    def _is_bin(self, start: int) -> bool:
        signature, position, *_ = self._bin_header(start)
        return signature == b"hbin" and position == start

    def _bin_header(self, start: int) -> tuple[bytes, int, int, int]:
        return BIN_HEADER.unpack(self._file.read(SIZE + start, BIN_HEADER.size))

    def _scan(self, start: int, end: int) -> None:
        """Note where the cells of a bin begin, and which of them are free."""
        free_from = None
        at = start + BIN_HEADER_SIZE
        for size in self._sizes(start, end):
            if size > 0 and free_from is None:
                free_from = at
            elif size < 0 and free_from is not None:
                self._found_free(free_from, at - free_from)
                free_from = None
            if size < 0 or free_from == at:
                self.starts.add(at)
            at += abs(size)
        if free_from is not None:
            self._found_free(free_from, at - free_from)

    def _sizes(self, start: int, end: int) -> Iterator[int]:
        """The size words of a bin's cells, one after the other to the bin's end."""
        at = start + BIN_HEADER_SIZE
        window, begins = b"", at
        while at < end:
            if at + 4 > begins + len(window):
                window, begins = self._file.read(SIZE + at, min(end - at, WINDOW)), at
            (size,) = struct.unpack_from("<i", window, at - begins)
            if abs(size) < SMALLEST_CELL or size % SMALLEST_CELL or at + abs(size) > end:
                raise Malformed(f"the cell at {at:#x} has a size of {size}")
            yield size
            at += abs(size)
