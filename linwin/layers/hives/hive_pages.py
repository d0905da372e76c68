"""Which keys of a hive are as they were, told from the pages of its file that did not change.

A hive is changed in place, so that most of its file stays byte for byte. What a key
says lies in cells: its node, class, list of values, values, their data, lists of subkeys.
Where none of these touches a page that changed, and the descriptor that it shares with
others is the same, a key at the same offset of the old file says the same, and its
subkeys lie at the same offsets. By induction all below it is the same when that holds for
every key below it. Whatever is not shown to be the same in this way is compared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

from linwin.layers.errors import Malformed
from linwin.layers.hives.cells import SMALLEST_CELL, BitSet
from linwin.layers.hives.header import NONE, PAGE, SIZE
from linwin.layers.hives.lists import HEADER, WIDTHS
from linwin.layers.hives.records import INLINE, NODE, PREDEFINED, VALUE
from linwin.layers.hives.regf import BIG_DATA, DEEPEST, SEGMENT, Hive
from linwin.layers.hives.security import LARGEST, RECORD

AT_ONCE = 1 << 20
"""Bytes that are compared at once."""


def changed_pages(old: bytes, new: bytes) -> bytes:
    """For each page of a new file whether it changed, as a byte.

    Pages are counted from the end of the base block, as offsets are. Where the old file
    has no page, it changed.
    """
    changed = bytearray(b"\1" * -(-max(len(new) - SIZE, 0) // PAGE))
    before, after = memoryview(old), memoryview(new)
    for start in range(SIZE, min(len(old), len(new)), AT_ONCE):
        end = min(start + AT_ONCE, len(old), len(new))
        are_same = before[start:end] == after[start:end]
        for at in range(start, end - PAGE + 1, PAGE):
            if are_same or before[at : at + PAGE] == after[at : at + PAGE]:
                changed[(at - SIZE) // PAGE] = 0
    return bytes(changed)


class Unchanged:
    """The keys of a hive, by their offsets, that are with all below them as in the old one.

    Raises Malformed, from the constructor, for a hive that is damaged. What it says holds
    for a key that has the same offset in both.
    """

    def __init__(self, old: bytes, new: bytes, hive: Hive, changed: bytes) -> None:
        """``hive`` is the one in ``new``, whose pages are as ``changed`` says."""
        self._data = new
        self._old_data = old
        self._is_big = hive.is_big
        self._changed = changed
        self._descriptors: dict[int, bool] = {}
        self._seen = BitSet(len(self._data))
        self._touched: set[int] = set()
        try:
            self._walk(hive.block.root)
        except struct.error as error:
            raise Malformed("a cell of it does not lie within it") from error

    def __contains__(self, offset: int) -> bool:
        return offset in self._seen and offset not in self._touched

    def _walk(self, root: int) -> None:
        # Not recursive: how deep keys lie in each other is the guest's choice.
        trail: list[tuple[int, Iterator[int]]] = []
        following: int | None = root
        while following is not None or trail:
            if following is None:
                trail.pop()
            else:
                if following % SMALLEST_CELL or SIZE + following >= len(self._data):
                    raise Malformed(f"the offset {following:#x} is not within the hive")
                if following in self._seen:
                    raise Malformed(f"the cell at {following:#x} belongs to two others")
                self._seen.add(following)
                is_same, subkeys = self._look_at(following)
                trail.append((following, iter(subkeys)))
                if len(trail) > DEEPEST:
                    raise Malformed(f"keys lie more than {DEEPEST} levels deep")
                if not is_same:
                    self._touch(trail)
            following = next(trail[-1][1], None) if trail else None

    def _touch(self, trail: Sequence[tuple[int, Iterator[int]]]) -> None:
        """The last key of a trail is not shown to be the same, and so none above it is."""
        for offset, _ in reversed(trail):
            if offset in self._touched:
                return
            self._touched.add(offset)

    def _look_at(self, offset: int) -> tuple[bool, Sequence[int]]:
        """Whether what a key itself says lies in pages that did not change, and its subkeys."""
        (_, flags, _, _, _, _, subkey_count, _, subkeys, _, value_count, values, security,
         class_offset, _, _, _, _, _, _, name_length, class_length) = self._unpack(NODE, offset)  # fmt: skip
        is_same = self._is_same(offset, NODE.size + name_length)
        if class_length and class_offset != NONE:
            is_same = is_same and self._is_same(class_offset, class_length)
        if security != NONE:
            is_same = self._is_same_descriptor(security) and is_same
        if value_count and not flags & PREDEFINED:
            is_same = is_same and self._are_same_values(values, value_count)
        if not subkey_count:
            return is_same, ()
        are_same, offsets = self._lists(subkeys)
        return is_same and are_same, offsets

    def _are_same_values(self, offset: int, count: int) -> bool:
        if not self._is_same(offset, 4 * count):
            return False
        for value in struct.unpack_from(f"<{count}I", self._data, SIZE + 4 + offset):
            _, name_length, size, place, _, _ = self._unpack(VALUE, value)
            if not self._is_same(value, VALUE.size + name_length):
                return False
            if size and not size & INLINE and not self._is_same_data(place, size):
                return False
        return True

    def _is_same_data(self, offset: int, size: int) -> bool:
        if not self._is_big(size):
            return self._is_same(offset, size)
        _, count, segments = self._unpack(BIG_DATA, offset)
        if not self._is_same(offset, BIG_DATA.size) or not self._is_same(segments, 4 * count):
            return False
        offsets = struct.unpack_from(f"<{count}I", self._data, SIZE + 4 + segments)
        return all(self._is_same(segment, SEGMENT) for segment in offsets)

    def _is_same_descriptor(self, offset: int) -> bool:
        """Whether a descriptor is the same, however many keys share it: their number is in its cell, too."""
        known = self._descriptors.get(offset)
        if known is None:
            here, there = descriptor_at(self._data, offset), descriptor_at(self._old_data, offset)
            if not here:
                raise Malformed("there is no security descriptor where one should be")
            known = self._descriptors[offset] = here == there
        return known

    def _lists(self, offset: int) -> tuple[bool, Sequence[int]]:
        """Whether the lists of a key's subkeys did not change, and the offsets of all that are in them."""
        kind, count = self._unpack(HEADER, offset)
        if kind != b"ri":
            return self._leaf(offset, kind, count)
        are_same = self._is_same(offset, HEADER.size + 4 * count)
        offsets: list[int] = []
        for leaf in struct.unpack_from(f"<{count}I", self._data, SIZE + 4 + HEADER.size + offset):
            is_same, below = self._leaf(leaf, *self._unpack(HEADER, leaf))
            are_same = are_same and is_same
            offsets += below
        return are_same, offsets

    def _leaf(self, offset: int, kind: bytes, count: int) -> tuple[bool, Sequence[int]]:
        if kind == b"ri" or kind not in WIDTHS:
            raise Malformed("there is no list of subkeys where one should be")
        width = WIDTHS[kind]
        words = struct.unpack_from(f"<{count * width // 4}I", self._data, SIZE + 4 + HEADER.size + offset)
        return self._is_same(offset, HEADER.size + count * width), words[:: width // 4]

    def _unpack(self, record: struct.Struct, offset: int) -> tuple[Any, ...]:
        return record.unpack_from(self._data, SIZE + 4 + offset)

    def _is_same(self, offset: int, size: int) -> bool:
        """Whether the cell at ``offset``, with so many bytes of content, touches no page that changed."""
        return self._changed.find(1, offset // PAGE, (offset + 4 + size - 1) // PAGE + 1) < 0


def descriptor_at(data: bytes, offset: int) -> bytes:
    """The signature and descriptor of the ``sk`` record at ``offset``; nothing beyond the file's end."""
    at = SIZE + 4 + offset
    if at + RECORD.size > len(data):
        return b""
    signature, _, _, _, length = RECORD.unpack_from(data, at)
    return bytes(signature) + data[at + RECORD.size : at + RECORD.size + min(length, LARGEST + 1)]
