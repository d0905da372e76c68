"""A binary hive as keys that can be compared."""

from __future__ import annotations

from collections.abc import Mapping

from linwin.layers.hives.compare import Key, Value
from linwin.layers.hives.header import NONE
from linwin.layers.hives.hive_pages import Unchanged, changed_pages
from linwin.layers.hives.names import Fold
from linwin.layers.hives.records import KeyNode
from linwin.layers.hives.regf import Hive
from linwin.layers.hives.storage import InMemory


def hive_keys(old: bytes, new: bytes, fold: Fold) -> tuple[Key, Key]:
    """The roots of two hives, given as their files.

    Raises Malformed for a new one that is damaged; what is damaged in the old one is
    found when it is looked at.
    """
    before, after = Hive(InMemory(old), fold), Hive(InMemory(new), fold)
    changed = changed_pages(old, new)
    if before.block.minor != after.block.minor:  # the same bytes may mean something else
        changed = b"\1" * len(changed)
    unchanged = Unchanged(old, new, after, changed)
    return HiveKey(before, before.block.root, None), HiveKey(after, after.block.root, unchanged)


class HiveKey:
    """Implements :class:`linwin.layers.hives.compare.Key`.

    ``unchanged`` is None for a key of the old hive.
    """

    def __init__(self, hive: Hive, offset: int, unchanged: Unchanged | None) -> None:
        self._hive = hive
        self._offset = offset
        self._unchanged = unchanged
        self._node: KeyNode = hive.node(offset)
        self.name = self._node.name
        self.written = self._node.written
        self.flags = self._node.flags
        self.user_flags = self._node.user_flags

    @property
    def class_name(self) -> str:
        return self._hive.class_name(self._node)

    @property
    def security(self) -> bytes | None:
        if self._node.security == NONE:
            return None
        return self._hive.security(self._node.security).descriptor

    def values(self) -> Mapping[str, Value]:
        found = {}
        for offset in self._hive.values(self._node):
            value = self._hive.value(offset)
            found[self._hive.fold(value.name)] = Value(value.name, value.type, self._hive.data(value))
        return found

    def subkeys(self) -> Mapping[str, Key]:
        found: dict[str, Key] = {}
        for offset in self._hive.subkeys(self._node):
            key = HiveKey(self._hive, offset, self._unchanged)
            found[self._hive.fold(key.name)] = key
        return found

    def is_same(self, other: Key) -> bool:
        return (
            self._unchanged is not None
            and isinstance(other, HiveKey)
            and self._offset == other._offset
            and self._offset in self._unchanged
        )
