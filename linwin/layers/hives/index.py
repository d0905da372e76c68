"""The subkeys of a key in a hive that is being changed: found, inserted and removed by name."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from linwin.layers.errors import Malformed
from linwin.layers.hives.allocator import EditableHive
from linwin.layers.hives.header import NONE
from linwin.layers.hives.lists import MOST_IN_LEAF, MOST_IN_ROOT, SubkeyList
from linwin.layers.hives.names import order, stored_size
from linwin.layers.hives.records import LARGEST, SUBKEY_COUNT, SUBKEYS, KeyNode
from linwin.layers.hives.regf import FIRST_WITH_HASHES


@dataclass(slots=True)
class Place:
    """Where in a key's lists a name is, or belongs. ``found`` is the subkey's cell, if there is one.

    ``root`` is the list of leaves, None where there is only one leaf, ``number``
    the leaf's index in it and ``position`` the name's index in the leaf.
    """

    root: SubkeyList | None
    number: int
    leaf: SubkeyList
    leaf_offset: int
    position: int
    found: int | None


class SubkeyIndex:
    """Finds and changes the subkeys of keys. A key is given as its cell's offset. Raises Malformed."""

    def __init__(self, hive: EditableHive) -> None:
        self._hive = hive

    def find(self, key: int, name: str) -> int | None:
        node = self._hive.node(key)
        return self._place(node, name).found if node.subkey_count else None

    def insert(self, key: int, name: str, subkey: int) -> None:
        """Add a subkey whose name is new."""
        node = self._hive.node(key)
        if node.subkey_count:
            place = self._place(node, name)
            place.leaf.insert(place.position, subkey, name, self._hive.fold(name))
            subkeys = self._write(node, place)
        else:
            subkeys = self._new_lists([(name, subkey)])
        self._record(key, subkeys, node.subkey_count + 1)
        if stored_size(name) > node.largest[0]:
            self._hive.patch(key, LARGEST, struct.pack("<H", stored_size(name)))

    def remove(self, key: int, name: str) -> None:
        """Remove a subkey that exists from the lists; its cell stays."""
        node = self._hive.node(key)
        place = self._place(node, name)
        place.leaf.remove(place.position)
        subkeys = self._write(node, place) if len(place.leaf) else self._drop_leaf(node, place)
        self._record(key, subkeys, node.subkey_count - 1)

    def replace(self, key: int, subkeys: Iterable[int]) -> None:
        """Make these, in the order that they were in, all the subkeys of a key."""
        node = self._hive.node(key)
        if not node.subkey_count:
            return
        self.free_lists(node)
        entries = [(self._hive.node(subkey).name, subkey) for subkey in subkeys]
        self._record(key, self._new_lists(entries) if entries else NONE, len(entries))

    def free_lists(self, node: KeyNode) -> None:
        """Give the cells of a key's lists back."""
        if node.subkey_count:
            top = SubkeyList.parse(self._hive.read(node.subkeys))
            self._hive.free(node.subkeys)
            for offset in top if top.is_root else ():
                self._hive.free(offset)

    # ---- searching ------------------------------------------------------------

    def _place(self, node: KeyNode, name: str) -> Place:
        sought = order(self._hive.fold(name))
        top = SubkeyList.parse(self._hive.read(node.subkeys))
        if not top.is_root:
            return Place(None, 0, top, node.subkeys, *self._search(top, sought))
        number = self._leaf_for(top, sought)
        leaf = self._leaf(top[number])
        return Place(top, number, leaf, top[number], *self._search(leaf, sought))

    def _leaf(self, offset: int) -> SubkeyList:
        leaf = SubkeyList.parse(self._hive.read(offset))
        if leaf.is_root:
            raise Malformed("a list of lists of subkeys lies in another")
        return leaf

    def _leaf_for(self, root: SubkeyList, sought: bytes) -> int:
        """The first leaf whose last name is not before the sought one; the last leaf if none is."""
        low, high = 0, len(root) - 1
        while low < high:
            middle = (low + high) // 2
            leaf = self._leaf(root[middle])
            if self._order(leaf[len(leaf) - 1]) < sought:
                low = middle + 1
            else:
                high = middle
        return low

    def _search(self, leaf: SubkeyList, sought: bytes) -> tuple[int, int | None]:
        low, high = 0, len(leaf)
        while low < high:
            middle = (low + high) // 2
            here = self._order(leaf[middle])
            if here == sought:
                return middle, leaf[middle]
            if here < sought:
                low = middle + 1
            else:
                high = middle
        return low, None

    def _order(self, offset: int) -> bytes:
        return order(self._hive.fold(self._hive.node(offset).name))

    # ---- writing --------------------------------------------------------------

    def _record(self, key: int, subkeys: int, count: int) -> None:
        self._hive.patch(key, SUBKEY_COUNT, struct.pack("<I", count))
        self._hive.patch(key, SUBKEYS, struct.pack("<I", subkeys))
        if not count:
            self._hive.patch(key, LARGEST, struct.pack("<H", 0))

    def _write(self, node: KeyNode, place: Place) -> int:
        """Store a leaf that was changed, in pieces when it became too long; the key's list from now on."""
        pieces = split(place.leaf)
        offsets = [self._hive.rewrite(place.leaf_offset, pieces[0].pack())]
        offsets += [self._hive.allocate(piece.pack()) for piece in pieces[1:]]
        if place.root is None:
            return self._new_root(offsets) if len(offsets) > 1 else offsets[0]
        if offsets == [place.leaf_offset]:
            return node.subkeys
        place.root[place.number] = offsets[0]
        for index, offset in enumerate(offsets[1:], place.number + 1):
            place.root.insert(index, offset)
        if len(place.root) > MOST_IN_ROOT:
            raise Malformed("it has too many subkeys")
        return self._hive.rewrite(node.subkeys, place.root.pack())

    def _drop_leaf(self, node: KeyNode, place: Place) -> int:
        self._hive.free(place.leaf_offset)
        if place.root is None:
            return NONE
        place.root.remove(place.number)
        if len(place.root):
            return self._hive.rewrite(node.subkeys, place.root.pack())
        self._hive.free(node.subkeys)
        return NONE

    def _new_lists(self, entries: list[tuple[str, int]]) -> int:
        leaf = SubkeyList(b"lh" if self._hive.block.minor >= FIRST_WITH_HASHES else b"lf")
        for index, (name, offset) in enumerate(entries):
            leaf.insert(index, offset, name, self._hive.fold(name))
        offsets = [self._hive.allocate(piece.pack()) for piece in split(leaf)]
        return self._new_root(offsets) if len(offsets) > 1 else offsets[0]

    def _new_root(self, leaves: list[int]) -> int:
        root = SubkeyList(b"ri")
        for index, offset in enumerate(leaves):
            root.insert(index, offset)
        return self._hive.allocate(root.pack())


def split(leaf: SubkeyList) -> list[SubkeyList]:
    """A leaf in pieces that are not too long."""
    if len(leaf) <= MOST_IN_LEAF:
        return [leaf]
    tail = leaf.split()
    return split(leaf) + split(tail)
