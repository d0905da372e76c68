"""Operations → a registry delta (``Hives/*_Delta``): a hive whose keys and values are layered.

Format: msuhanov/regf, "Windows registry file format specification", and
the bits of layered keys as :mod:`linwin.layers.hives.delta` reads them. The same
operations give the same bytes, in whatever order they come.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

from linwin.layers.descriptor import check_descriptor
from linwin.layers.errors import Malformed
from linwin.layers.hives import names
from linwin.layers.hives.edit import GIVEN_FLAGS, about
from linwin.layers.hives.header import NONE, new_base_block
from linwin.layers.hives.index import split
from linwin.layers.hives.layout import Bins
from linwin.layers.hives.lists import MOST_IN_ROOT, SubkeyList
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import Operation, SetValue
from linwin.layers.hives.records import (
    INHERIT_CLASS,
    LONGEST_CLASS,
    NO_DELETE,
    NODE,
    ROOT,
    KeyNode,
    Lower,
    ValueRecord,
)
from linwin.layers.hives.regf import BIG_DATA, SEGMENT, Path
from linwin.layers.hives.security import SecurityRecord
from linwin.layers.hives.tree import DeltaKey, tree_of, walk

ROOT_NAME = "ROOT"
REG_NONE = 0


def write_delta(operations: Iterable[Operation], fold: Fold, security: bytes) -> bytes:
    """The delta that stands for ``operations``, at most one about each key and each value.

    ``security`` is the descriptor of keys that are given none, and for which none
    above has one either: there is no bit to keep the one below, and Windows reads no
    key without one. Keys on the way to others, which are not put themselves, are
    merged and have the latest time of those below them.

    Raises Malformed, naming the key, for what no delta can hold.
    """
    return DeltaWriter(fold, security).write(tree_of(operations, fold))


@dataclass(slots=True)
class Placed:
    """A key of the delta that has its cell, and what its node will say."""

    key: DeltaKey
    path: Path
    above: Placed | None
    offset: int
    descriptor: bytes
    written: int = 0
    class_offset: int = NONE
    class_length: int = 0
    values: list[int] = field(default_factory=list)
    value_list: int = NONE
    largest_name: int = 0
    largest_data: int = 0
    below: list[Placed] = field(default_factory=list)


class DeltaWriter:
    def __init__(self, fold: Fold, security: bytes) -> None:
        self._fold = fold
        self._security = security
        self._bins = Bins()
        # Offset of each descriptor's record, and how many keys use it.
        self._records: dict[bytes, tuple[int, int]] = {}

    def write(self, root: DeltaKey) -> bytes:
        """The bytes of a delta. To be called once. Raises Malformed."""
        placed = self._place_all(root)
        for one in reversed(placed):
            if one.above is not None and one.above.key.put is None:
                one.above.written = max(one.above.written, one.written)
        for one in placed:
            with about(one.path):
                self._fill(one)
        self._fill_records()
        data = self._bins.finish(placed[0].written)
        return b"".join((new_base_block(placed[0].offset, len(data), placed[0].written), data))

    # ---- keys -----------------------------------------------------------------

    def _place_all(self, root: DeltaKey) -> list[Placed]:
        """Give every key, its class and its values their cells; the keys, each before those below it."""
        trail: list[Placed] = []
        placed: list[Placed] = []
        for path, key in walk(root):
            del trail[len(path) :]
            with about(path):
                one = self._place(key, path, trail[-1] if trail else None)
            trail.append(one)
            placed.append(one)
        return placed

    def _place(self, key: DeltaKey, path: Path, above: Placed | None) -> Placed:
        stored, _ = names.encode(key.name if path else ROOT_NAME)
        inherited = above.descriptor if above else self._security
        put = key.put
        one = Placed(
            key,
            path,
            above,
            offset=self._bins.place(NODE.size + len(stored)),
            descriptor=inherited if put is None or put.security is None else put.security,
            written=0 if put is None else put.written,
        )
        self._use(one.descriptor)
        if put is not None and put.class_name:
            self._place_class(one, put.class_name)
        self._place_values(one)
        if above is not None:
            above.below.append(one)
        return one

    def _place_class(self, one: Placed, name: str) -> None:
        data = name.encode("utf-16-le", "surrogatepass")
        if len(data) > LONGEST_CLASS:
            raise Malformed("its class is too long")
        one.class_offset, one.class_length = self._bins.store(data), len(data)

    def _fill(self, one: Placed) -> None:
        """Write a key's node, now that the cells of its subkeys are known."""
        key, put, is_root = one.key, one.key.put, one.above is None
        if key.is_deleted and one.above is not None:
            one.written = one.above.written
        flags = 0 if put is None else put.flags & GIVEN_FLAGS
        node = KeyNode(
            name=ROOT_NAME if is_root else key.name,
            flags=flags | ROOT | NO_DELETE if is_root else flags,
            written=one.written,
            layer_bits=layer_bits(key),
            parent=NONE if one.above is None else one.above.offset,
            subkey_count=len(one.below),
            subkeys=self._store_lists(one.below),
            value_count=len(one.values),
            values=one.value_list,
            security=self._records[one.descriptor][0],
            class_offset=one.class_offset,
            class_length=one.class_length,
            user_flags=0 if put is None else put.user_flags,
            largest=(
                max((names.stored_size(below.key.name) for below in one.below), default=0),
                max((below.class_length for below in one.below), default=0),
                one.largest_name,
                one.largest_data,
            ),
        )
        self._bins.fill(one.offset, node.pack())

    def _store_lists(self, below: list[Placed]) -> int:
        """The list of a key's subkeys, or a list of such lists where they are many."""
        if not below:
            return NONE
        leaf = SubkeyList(b"lh")
        for index, one in enumerate(below):
            leaf.insert(index, one.offset, one.key.name, self._fold(one.key.name))
        offsets = [self._bins.store(piece.pack()) for piece in split(leaf)]
        if len(offsets) == 1:
            return offsets[0]
        if len(offsets) > MOST_IN_ROOT:
            raise Malformed("it has too many subkeys")
        root = SubkeyList(b"ri")
        for index, offset in enumerate(offsets):
            root.insert(index, offset)
        return self._bins.store(root.pack())

    # ---- values ---------------------------------------------------------------

    def _place_values(self, one: Placed) -> None:
        for folded in sorted(one.key.values, key=names.order):
            value = one.key.values[folded]
            data = value.data if isinstance(value, SetValue) else b""
            one.values.append(self._bins.store(self._record(value.name, value, data).pack()))
            one.largest_name = max(one.largest_name, names.stored_size(value.name))
            one.largest_data = max(one.largest_data, len(data))
        if one.values:
            one.value_list = self._bins.store(struct.pack(f"<{len(one.values)}I", *one.values))

    def _record(self, name: str, value: object, data: bytes) -> ValueRecord:
        if not isinstance(value, SetValue):
            return ValueRecord(name, REG_NONE, 0, is_inline=False, data=NONE, is_tombstone=True)
        if len(data) <= 4:
            return ValueRecord(name, value.type, len(data), True, int.from_bytes(data, "little"))
        return ValueRecord(name, value.type, len(data), False, self._store_data(data))

    def _store_data(self, data: bytes) -> int:
        if len(data) <= SEGMENT:
            return self._bins.store(data)
        segments = [self._bins.store(data[at : at + SEGMENT]) for at in range(0, len(data), SEGMENT)]
        offsets = self._bins.store(struct.pack(f"<{len(segments)}I", *segments))
        return self._bins.store(BIG_DATA.pack(b"db", len(segments), offsets))

    # ---- security descriptors ---------------------------------------------------

    def _use(self, descriptor: bytes) -> None:
        """One more key uses a descriptor; the first one has its record placed."""
        offset, users = self._records.get(descriptor, (0, 0))
        if not users:
            check_descriptor(descriptor)
            offset = self._bins.place(len(SecurityRecord(0, 0, 1, descriptor).pack()))
        self._records[descriptor] = offset, users + 1

    def _fill_records(self) -> None:
        """Write the records of all descriptors, which make a ring."""
        ring = [offset for offset, _ in self._records.values()]
        for index, (descriptor, (offset, users)) in enumerate(self._records.items()):
            following, previous = ring[(index + 1) % len(ring)], ring[index - 1]
            self._bins.fill(offset, SecurityRecord(following, previous, users, descriptor).pack())


def layer_bits(key: DeltaKey) -> int:
    """What a key's node says of the same key in the hives below."""
    if key.is_deleted:
        return Lower.DELETED
    if key.put is None:
        return Lower.MERGED | INHERIT_CLASS
    return key.put.lower | (INHERIT_CLASS if key.put.class_name is None else 0)
