"""Applies operations to a binary hive, in place: only the pages that they touch are written.

Format: msuhanov/regf. The largest names and sizes that keys record are upper
bounds, as Windows keeps them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from linwin.layers.errors import Malformed
from linwin.layers.hives.allocator import EditableHive
from linwin.layers.hives.header import NONE
from linwin.layers.hives.index import SubkeyIndex
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import Keep, Kept, PutKey, SetValue
from linwin.layers.hives.records import (
    CLASS,
    CLASS_LENGTH,
    COMPRESSED_NAME,
    LARGEST,
    NO_DELETE,
    PREDEFINED,
    ROOT,
    SECURITY,
    SYMBOLIC_LINK,
    WRITTEN,
    KeyNode,
    Lower,
)
from linwin.layers.hives.regf import DEEPEST, Path, named
from linwin.layers.hives.ring import SecurityRing
from linwin.layers.hives.storage import Writable
from linwin.layers.hives.values import KeyValues

FLAGS, LARGEST_CLASS = 2, LARGEST + 4
VIRTUALIZATION = 0x380
GIVEN_FLAGS = NO_DELETE | SYMBOLIC_LINK | VIRTUALIZATION
"""The flags of a key that a delta decides."""
OWN_FLAGS = ROOT | COMPRESSED_NAME | PREDEFINED


class HiveEditor:
    """Implements :class:`linwin.layers.hives.operations.Registry` for the hive in ``file``.

    Raises Malformed, naming the key, also when the hive itself is damaged; what
    has been written by then is worth nothing. :meth:`finish` ends the work.
    """

    def __init__(self, file: Writable, fold: Fold) -> None:
        self._hive = EditableHive(file, fold)
        self._index = SubkeyIndex(self._hive)
        with about(()):
            self._ring = SecurityRing(self._hive)
        # The keys from the root to the one last put, by folded name.
        self._trail: list[tuple[str, int]] = []
        self._values: KeyValues | None = None

    def put_key(self, key: PutKey, keep: Keep) -> None:
        with about(key.path):
            offset = self._find(key.path)
            if offset is None:
                self._create(key)
            else:
                self._update(offset, key, keep)

    def delete_key(self, path: Path, keep: Keep) -> None:
        with about(path):
            if not path:
                raise Malformed("it cannot be deleted")
            offset = self._find(path)
            if offset is None or (kept := keep(path)) is Kept.ALL:
                return
            self._forget()
            if kept is Kept.SOME_SUBKEYS and self._strip(offset, path, keep):
                return
            self._index.remove(self._parent(path), path[-1])
            self._delete_tree(offset)

    def set_value(self, value: SetValue) -> None:
        with about(value.path):
            self._values_of(value.path).set(value.name, value.type, value.data)

    def delete_value(self, path: Path, name: str) -> None:
        with about(path):
            self._values_of(path).delete(name)

    def finish(self) -> bool:
        """Bring the last key and the hive's header up to date; whether anything was changed."""
        self._finish_values()
        self._hive.finish()
        return self._hive.is_changed

    # ---- finding --------------------------------------------------------------

    def _find(self, path: Path) -> int | None:
        """The cell of a key, None when there is none."""
        if len(path) > DEEPEST:
            raise Malformed(f"keys lie more than {DEEPEST} levels deep")
        offset: int | None = self._hive.block.root
        folded = [self._hive.fold(name) for name in path]
        common = 0
        while common < min(len(folded), len(self._trail)) and self._trail[common][0] == folded[common]:
            offset = self._trail[common][1]
            common += 1
        del self._trail[common:]
        for place in range(common, len(path)):
            assert offset is not None
            offset = self._index.find(offset, path[place])
            if offset is None:
                return None
            self._trail.append((folded[place], offset))
        return offset

    def _parent(self, path: Path) -> int:
        offset = self._find(path[:-1])
        if offset is None:
            raise Malformed("the key above it does not exist")
        return offset

    def _values_of(self, path: Path) -> KeyValues:
        offset = self._find(path)
        if offset is None:
            raise Malformed("it does not exist")
        if self._values is None or self._values.key != offset:
            self._finish_values()
            self._values = KeyValues(self._hive, offset)
        return self._values

    def _finish_values(self) -> None:
        if self._values is not None:
            self._values.finish()
            self._values = None

    def _forget(self) -> None:
        """Forget cells that may be gone, before their places are used again."""
        self._trail.clear()
        self._finish_values()

    # ---- putting --------------------------------------------------------------

    def _create(self, key: PutKey) -> None:
        parent = self._parent(key.path)
        name = key.path[-1]
        class_offset, class_length = self._store_class(key.class_name or "")
        node = KeyNode(
            name=name,
            flags=key.flags & GIVEN_FLAGS,
            written=key.written,
            layer_bits=0,
            parent=parent,
            subkey_count=0,
            subkeys=NONE,
            value_count=0,
            values=NONE,
            security=self._security_below(parent, key.security),
            class_offset=class_offset,
            class_length=class_length,
            user_flags=key.user_flags,
            largest=(0, 0, 0, 0),
        )
        offset = self._hive.allocate(node.pack())
        self._index.insert(parent, name, offset)
        self._widen_class(parent, class_length)
        self._trail.append((self._hive.fold(name), offset))

    def _update(self, offset: int, key: PutKey, keep: Keep) -> None:
        if key.lower is not Lower.MERGED:
            self._finish_values()
            KeyValues(self._hive, offset).clear()
        if key.lower is Lower.TREE_REPLACED:
            self._delete_subkeys(offset, key.path, keep)
        node = self._hive.node(offset)
        if key.class_name is not None and key.class_name != self._hive.class_name(node):
            self._change_class(offset, node, key)
        if key.security is not None:
            self._change_security(offset, node, key.security)
        if key.lower is not Lower.MERGED:
            self._change_flags(offset, node, key)
        if node.written != key.written:
            self._hive.patch(offset, WRITTEN, struct.pack("<Q", key.written))

    def _change_flags(self, offset: int, node: KeyNode, key: PutKey) -> None:
        flags = node.flags & OWN_FLAGS | key.flags & GIVEN_FLAGS
        self._hive.patch(offset, FLAGS, struct.pack("<H", flags))
        self._hive.patch(offset, LARGEST + 2, struct.pack("<H", key.user_flags))

    def _change_class(self, offset: int, node: KeyNode, key: PutKey) -> None:
        if node.class_offset != NONE:
            self._hive.free(node.class_offset)
        class_offset, length = self._store_class(key.class_name or "")
        self._hive.patch(offset, CLASS, struct.pack("<I", class_offset))
        self._hive.patch(offset, CLASS_LENGTH, struct.pack("<H", length))
        if key.path:
            self._widen_class(self._parent(key.path), length)

    def _store_class(self, name: str) -> tuple[int, int]:
        data = name.encode("utf-16-le", "surrogatepass")
        return (self._hive.allocate(data), len(data)) if data else (NONE, 0)

    def _widen_class(self, parent: int, length: int) -> None:
        if length > self._hive.node(parent).largest[1]:
            self._hive.patch(parent, LARGEST_CLASS, struct.pack("<I", length))

    def _security_below(self, parent: int, descriptor: bytes | None) -> int:
        """The descriptor's record for a new key; its parent's when it has none of its own."""
        if descriptor is not None:
            return self._ring.take(descriptor)
        inherited = self._hive.node(parent).security
        if inherited != NONE:
            self._ring.share(inherited)
        return inherited

    def _change_security(self, offset: int, node: KeyNode, descriptor: bytes) -> None:
        if node.security != NONE:
            if self._hive.security(node.security).descriptor == descriptor:
                return
            self._ring.release(node.security)
        self._hive.patch(offset, SECURITY, struct.pack("<I", self._ring.take(descriptor)))

    # ---- deleting -------------------------------------------------------------

    def _strip(self, offset: int, path: Path, keep: Keep) -> bool:
        """Delete all of a key but the subkeys that are to stay; whether there are any."""
        self._delete_subkeys(offset, path, keep)
        if not self._hive.node(offset).subkey_count:
            return False
        KeyValues(self._hive, offset).clear()
        return True

    def _delete_subkeys(self, offset: int, path: Path, keep: Keep) -> None:
        staying = []
        for subkey in self._hive.subkeys(self._hive.node(offset)):
            below = (*path, self._hive.node(subkey).name)
            # As deep as the keys to keep are, which the list of them bounds.
            kept = keep(below)
            if kept is Kept.ALL or (kept is Kept.SOME_SUBKEYS and self._strip(subkey, below, keep)):
                staying.append(subkey)
            else:
                self._delete_tree(subkey)
        self._index.replace(offset, staying)

    def _delete_tree(self, offset: int) -> None:
        """Give back the cells of a key, which no list has any more, and of all below it."""
        # Not recursive: how deep keys lie in each other is the hive's choice. A loop leads to a
        # cell that is free by then.
        pending = [offset]
        while pending:
            offset = pending.pop()
            node = self._hive.node(offset)
            pending += self._hive.subkeys(node)
            self._index.free_lists(node)
            KeyValues(self._hive, offset).clear()
            if node.class_offset != NONE:
                self._hive.free(node.class_offset)
            if node.security != NONE:
                self._ring.release(node.security)
            self._hive.free(offset)


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Say of what goes wrong at which key it did."""
    try:
        yield
    except Malformed as error:
        raise Malformed(f"{named(path)}: {error}") from error
