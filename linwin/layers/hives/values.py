"""The values of a key in a hive that is being changed."""

from __future__ import annotations

import struct

from linwin.layers.hives.allocator import EditableHive
from linwin.layers.hives.header import NONE
from linwin.layers.hives.names import stored_size
from linwin.layers.hives.records import (
    DATA_SIZE,
    INLINE,
    LARGEST,
    PREDEFINED,
    VALUE_COUNT,
    VALUES,
    ValueRecord,
)
from linwin.layers.hives.regf import BIG_DATA, SEGMENT

LARGEST_NAME, LARGEST_DATA = LARGEST + 8, LARGEST + 12


class KeyValues:
    """The values of one key, whose cell is at ``key``. Raises Malformed.

    The key knows of values that were added or deleted once they are written by
    :meth:`finish`: a list of a million that is written for each would take days.
    """

    def __init__(self, hive: EditableHive, key: int) -> None:
        self._hive = hive
        self.key = key
        node = hive.node(key)
        self._is_predefined = bool(node.flags & PREDEFINED)
        self._list = node.values if node.value_count else NONE
        self._largest = node.largest[2:]
        self._offsets = dict.fromkeys(hive.values(node))
        self._is_changed = False
        self._by_name = {hive.fold(hive.value(offset).name): offset for offset in self._offsets}

    def set(self, name: str, type: int, data: bytes) -> None:
        """Set a value. A key whose values come from elsewhere takes none."""
        if self._is_predefined:
            return
        offset = self._by_name.get(self._hive.fold(name))
        if offset is None:
            self._add(name, type, data)
        else:
            self._change(offset, type, data)
        self._record_largest(max(self._largest[0], stored_size(name)), max(self._largest[1], len(data)))

    def delete(self, name: str) -> None:
        """Delete a value, if there is one of that name."""
        offset = self._by_name.pop(self._hive.fold(name), None)
        if offset is not None:
            self._free(offset)
            del self._offsets[offset]
            self._is_changed = True
            if not self._offsets:
                self._record_largest(0, 0)

    def clear(self) -> None:
        """Delete all values, at once."""
        if self._offsets:
            for offset in self._offsets:
                self._free(offset)
            self._offsets.clear()
            self._by_name.clear()
            self._record_largest(0, 0)
            self._write_list()

    def finish(self) -> None:
        """Bring the key up to date."""
        if self._is_changed:
            self._write_list()

    def _add(self, name: str, type: int, data: bytes) -> None:
        value = ValueRecord(name, type, len(data), *self._store(data))
        offset = self._hive.allocate(value.pack())
        self._by_name[self._hive.fold(name)] = offset
        self._offsets[offset] = None
        self._is_changed = True

    def _change(self, offset: int, type: int, data: bytes) -> None:
        value = self._hive.value(offset)
        if value.type == type and value.size == len(data) and self._hive.data(value) == data:
            return
        is_inline, field = self._store_over(value, data)
        size = len(data) | INLINE if is_inline else len(data)
        self._hive.patch(offset, DATA_SIZE, struct.pack("<III", size, field, type))

    def _free(self, offset: int) -> None:
        self._free_data(self._hive.value(offset))
        self._hive.free(offset)

    def _write_list(self) -> None:
        self._is_changed = False
        if self._offsets:
            content = struct.pack(f"<{len(self._offsets)}I", *self._offsets)
            if self._list == NONE:
                self._list = self._hive.allocate(content)
            else:
                self._list = self._hive.rewrite(self._list, content)
        elif self._list != NONE:
            self._hive.free(self._list)
            self._list = NONE
        self._hive.patch(self.key, VALUE_COUNT, struct.pack("<I", len(self._offsets)))
        self._hive.patch(self.key, VALUES, struct.pack("<I", self._list))

    def _record_largest(self, name: int, data: int) -> None:
        if (name, data) != self._largest:
            self._largest = (name, data)
            self._hive.patch(self.key, LARGEST_NAME, struct.pack("<II", name, data))

    # ---- data -----------------------------------------------------------------

    def _store(self, data: bytes) -> tuple[bool, int]:
        """Store data; whether it goes into the value's record itself, and what goes there."""
        if len(data) <= 4:
            return True, int.from_bytes(data, "little")
        if not self._hive.is_big(len(data)):
            return False, self._hive.allocate(data)
        segments = [
            self._hive.allocate(data[begin : begin + SEGMENT]) for begin in range(0, len(data), SEGMENT)
        ]
        offsets = self._hive.allocate(struct.pack(f"<{len(segments)}I", *segments))
        return False, self._hive.allocate(BIG_DATA.pack(b"db", len(segments), offsets))

    def _store_over(self, value: ValueRecord, data: bytes) -> tuple[bool, int]:
        """Store data in place of a value's, in the same cell if both are of one."""
        if self._is_one_cell(value.size, value.is_inline) and self._is_one_cell(len(data), len(data) <= 4):
            return False, self._hive.rewrite(value.data, data)
        self._free_data(value)
        return self._store(data)

    def _is_one_cell(self, size: int, is_inline: bool) -> bool:
        return bool(size) and not is_inline and not self._hive.is_big(size)

    def _free_data(self, value: ValueRecord) -> None:
        if value.is_inline or not value.size:
            return
        if self._hive.is_big(value.size):
            for offset, _ in list(self._hive.segments(value)):
                self._hive.free(offset)
            self._hive.free(BIG_DATA.unpack_from(self._hive.read(value.data))[2])
        self._hive.free(value.data)
