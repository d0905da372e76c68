"""A registry delta (``Hives/*_Delta``) → the operations that it stands for.

Format: a hive whose keys and values may be layered: msuhanov/regf, and byte 13
of key nodes as seen in the deltas of Windows. A hive that does not say in its
header that its keys are layered is merged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from linwin.layers.descriptor import check_descriptor
from linwin.layers.errors import Malformed
from linwin.layers.hives.header import NONE
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import DeleteKey, DeleteValue, Operation, PutKey, SetValue
from linwin.layers.hives.records import ROOT, VOLATILE, KeyNode, Lower
from linwin.layers.hives.regf import DEEPEST, Path, UnsharedHive, named
from linwin.layers.hives.storage import Readable
from linwin.layers.reader import quoted

MOST_DESCRIPTORS = 1024
"""Descriptors that are checked once and then remembered."""


def read_delta(file: Readable, fold: Fold) -> Iterator[Operation]:
    """Yield a delta's operations: each key before its values, and those before its subkeys.

    Raises Malformed, naming the key, once what is wrong is come to.
    """
    return Delta(file, fold).operations()


class Delta:
    def __init__(self, file: Readable, fold: Fold) -> None:
        self._hive = UnsharedHive(file, fold)
        self._layered = self._hive.block.layered
        self._descriptors: dict[int, bytes] = {}

    def operations(self) -> Iterator[Operation]:
        # Not recursive: how deep keys lie in each other is the layer's choice.
        levels: list[tuple[Path, Iterator[int]]] = [((), iter((self._hive.block.root,)))]
        while levels:
            parent, siblings = levels[-1]
            offset = next(siblings, None)
            if offset is None:
                levels.pop()
                continue
            node, path = self._enter(offset, parent, is_root=len(levels) == 1)
            try:
                yield from self._key(node, path)
                levels.append((path, iter(self._hive.subkeys(node))))
            except Malformed as error:
                raise Malformed(f"{named(path)}: {error}") from error

    def _enter(self, offset: int, parent: Path, *, is_root: bool) -> tuple[KeyNode, Path]:
        try:
            node = self._hive.node(offset)
            if bool(node.flags & ROOT) != is_root:
                raise Malformed("its root is not where its header says")
            if len(parent) >= DEEPEST:
                raise Malformed(f"keys lie more than {DEEPEST} levels deep")
        except Malformed as error:
            raise Malformed(f"in {named(parent)}: {error}") from error
        return node, () if is_root else (*parent, node.name)

    def _key(self, node: KeyNode, path: Path) -> Iterator[Operation]:
        lower = node.lower if self._layered else Lower.MERGED
        if node.flags & VOLATILE:
            raise Malformed("it is volatile, which no key in a file is")
        if lower is Lower.DELETED:
            yield self._tombstone(node, path)
            return
        yield PutKey(
            path=path,
            lower=lower,
            class_name=self._class_name(node),
            security=self._security(node),
            written=node.written,
            flags=node.flags,
            user_flags=node.user_flags,
        )
        for offset in self._hive.values(node):
            yield self._value(path, offset)

    def _tombstone(self, node: KeyNode, path: Path) -> DeleteKey:
        if not path:
            raise Malformed("the root cannot be deleted")
        if node.subkey_count or node.value_count:
            raise Malformed("it is marked as deleted but has something in it")
        return DeleteKey(path)

    def _value(self, path: Path, offset: int) -> Operation:
        value = self._hive.value(offset)
        if value.is_tombstone and self._layered:
            if value.size:
                raise Malformed(f"value {quoted(value.name)} is marked as deleted but has data")
            return DeleteValue(path, value.name)
        return SetValue(path, value.name, value.type, self._hive.data(value))

    def _class_name(self, node: KeyNode) -> str | None:
        """The class to give; None to keep what is there."""
        name = self._hive.class_name(node)
        if self._layered:
            return None if node.inherits_class else name
        return name or None

    def _security(self, node: KeyNode) -> bytes | None:
        if node.security == NONE:
            return None
        known = self._descriptors.get(node.security)
        if known is None:
            known = self._hive.security(node.security).descriptor
            check_descriptor(known)
            if len(self._descriptors) < MOST_DESCRIPTORS:
                self._descriptors[node.security] = known
        return known
