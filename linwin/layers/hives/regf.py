"""Reads a registry hive, strictly: every offset, size and count is checked before it is used.

Format: msuhanov/regf, "Windows registry file format specification", versions
1.3 to 1.6. All methods raise Malformed.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives import names
from linwin.layers.hives.cells import BitSet, Cells
from linwin.layers.hives.header import NONE, read_base_block
from linwin.layers.hives.lists import SubkeyList
from linwin.layers.hives.names import Fold
from linwin.layers.hives.records import LONGEST_CLASS, KeyNode, ValueRecord
from linwin.layers.hives.security import SecurityRecord
from linwin.layers.hives.storage import Readable
from linwin.layers.reader import quoted

DEEPEST = 512
"""Levels of keys (Windows: "Registry Element Size Limits")."""
LARGEST_VALUE = 16 << 20
MOST_VALUES = 1 << 20
SEGMENT = 16_344
"""Bytes of data that one cell holds where there is big data, which is from version 1.4 on."""
BIG_DATA = struct.Struct("<2sHI")
FIRST_WITH_BIG_DATA, FIRST_WITH_HASHES = 4, 5

Path = tuple[str, ...]
"""The names of keys from below the root on; the empty path is the root."""


def named(path: Path) -> str:
    """A key, for an error's reader."""
    return "key " + quoted("\\".join(path)) if path else "the root key"


class Hive:
    """The keys and values of a hive, by the offsets of their cells."""

    def __init__(
        self, file: Readable, fold: Fold, found_free: Callable[[int, int], None] = lambda *_: None
    ) -> None:
        self.block = read_base_block(file)
        self.fold = fold
        self.cells = Cells(file, self.block.data_size, found_free)

    def read(self, offset: int) -> bytes:
        """The content of a cell that only one other refers to."""
        return self.cells.read(offset)

    def node(self, offset: int) -> KeyNode:
        node = KeyNode.parse(self.read(offset))
        if offset != self.block.root:
            names.check_key_name(node.name)
        return node

    def leaves(self, node: KeyNode) -> Iterator[SubkeyList]:
        """The lists of a key's subkeys, none of them a root."""
        if not node.subkey_count:
            return
        top = SubkeyList.parse(self.read(node.subkeys))
        if not top.is_root:
            yield top
            return
        for offset in top:
            leaf = SubkeyList.parse(self.read(offset))
            if leaf.is_root:
                raise Malformed("a list of lists of subkeys lies in another")
            yield leaf

    def subkeys(self, node: KeyNode) -> array[int]:
        """The offsets of a key's subkeys, in order."""
        found = array("I")
        for leaf in self.leaves(node):
            found.extend(leaf)
            if len(found) > node.subkey_count:
                break
        if len(found) != node.subkey_count:
            raise Malformed(f"it has {node.subkey_count} subkeys but lists another number")
        return found

    def values(self, node: KeyNode) -> list[int]:
        """The offsets of a key's values, in order."""
        if not node.value_count:
            return []
        if node.value_count > MOST_VALUES:
            raise Malformed(f"it claims to have {node.value_count} values")
        cell = self.read(node.values)
        if 4 * node.value_count > len(cell):
            raise Malformed(f"the list of its {node.value_count} values does not fit its cell")
        return list(struct.unpack_from(f"<{node.value_count}I", cell))

    def value(self, offset: int) -> ValueRecord:
        value = ValueRecord.parse(self.read(offset))
        names.check_value_name(value.name)
        return value

    def data(self, value: ValueRecord) -> bytes:
        """A value's data, wherever it lies."""
        if value.is_inline:
            return struct.pack("<I", value.data)[: value.size]
        if not value.size:
            return b""
        if value.size > LARGEST_VALUE:
            raise Malformed(f"value {quoted(value.name)} of {value.size} bytes is too large")
        if self.is_big(value.size):
            return b"".join(self._exactly(offset, size) for offset, size in self.segments(value))
        return self._exactly(value.data, value.size)

    def is_big(self, size: int) -> bool:
        """Whether data of ``size`` bytes is stored in segments."""
        return size > SEGMENT and self.block.minor >= FIRST_WITH_BIG_DATA

    def segments(self, value: ValueRecord) -> Iterator[tuple[int, int]]:
        """Offset and size of each segment of a value's big data."""
        signature, count, offsets_at = BIG_DATA.unpack_from(self._exactly(value.data, BIG_DATA.size))
        wanted = -(-value.size // SEGMENT)
        if signature != b"db" or count != wanted:
            raise Malformed(f"the data of value {quoted(value.name)} is not in {wanted} segments")
        for index, offset in enumerate(struct.unpack(f"<{count}I", self._exactly(offsets_at, 4 * count))):
            yield offset, min(SEGMENT, value.size - index * SEGMENT)

    def class_name(self, node: KeyNode) -> str:
        """A key's class, empty when it has none."""
        if node.class_offset == NONE:
            return ""
        if node.class_length > LONGEST_CLASS:
            raise Malformed("its class is too long")
        return names.decode(self._exactly(node.class_offset, node.class_length), compressed=False)

    def security(self, offset: int) -> SecurityRecord:
        """A security descriptor, which many keys share."""
        return SecurityRecord.parse(self.cells.read(offset))

    def _exactly(self, offset: int, size: int) -> bytes:
        cell = self.read(offset)
        if len(cell) < size:
            raise Malformed(f"the cell at {offset:#x} should hold {size} bytes")
        return cell[:size]


class UnsharedHive(Hive):
    """A hive that is read as a whole, in which no two places may refer to one cell.

    That makes loops impossible.
    """

    def __init__(self, file: Readable, fold: Fold) -> None:
        super().__init__(file, fold)
        self.cells.check_bins()
        self._read = BitSet(self.block.data_size)

    def read(self, offset: int) -> bytes:
        cell = self.cells.read(offset)
        if offset in self._read:
            raise Malformed(f"the cell at {offset:#x} belongs to two others")
        self._read.add(offset)
        return cell
