"""What a delta says of each key, gathered from operations in whatever order they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from linwin.layers.errors import Malformed
from linwin.layers.hives import names
from linwin.layers.hives.edit import about
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import DeleteKey, DeleteValue, Operation, PutKey, SetValue
from linwin.layers.hives.regf import DEEPEST, LARGEST_VALUE, Path, named
from linwin.layers.reader import quoted


@dataclass(slots=True)
class DeltaKey:
    """One key of a delta. ``put`` is None for one that is only on the way to others, or deleted.

    Values and subkeys go by their folded names.
    """

    name: str
    put: PutKey | None = None
    is_deleted: bool = False
    values: dict[str, SetValue | DeleteValue] = field(default_factory=dict)
    subkeys: dict[str, DeltaKey] = field(default_factory=dict)

    def sorted_subkeys(self) -> list[DeltaKey]:
        """The subkeys in the order in which a hive lists them."""
        return [self.subkeys[folded] for folded in sorted(self.subkeys, key=names.order)]


def tree_of(operations: Iterable[Operation], fold: Fold) -> DeltaKey:
    """The root of a delta that stands for ``operations``.

    Raises Malformed, naming the key, for what no delta can hold: two statements
    about one key or value, something below a key that is deleted, a name or value
    that is too long.
    """
    root = DeltaKey("")
    for operation in operations:
        with about(operation.path):
            key = enter(root, operation.path, fold)
            match operation:
                case PutKey():
                    if key.put is not None:
                        raise Malformed("it is put twice")
                    key.put = operation
                case DeleteKey():
                    key.is_deleted = True
                case SetValue() | DeleteValue():
                    add_value(key, operation, fold)
    for path, key in walk(root):
        if key.is_deleted and (key.put or key.values or key.subkeys or not path):
            raise Malformed(f"{named(path)}: it is deleted and cannot be changed as well")
    return root


def enter(root: DeltaKey, path: Path, fold: Fold) -> DeltaKey:
    """The key at ``path``, made if need be."""
    if len(path) >= DEEPEST:
        raise Malformed(f"keys lie more than {DEEPEST} levels deep")
    key = root
    for name in path:
        folded = fold(name)
        below = key.subkeys.get(folded)
        if below is None:
            names.check_key_name(name)
            below = key.subkeys[folded] = DeltaKey(name)
        key = below
    return key


def add_value(key: DeltaKey, operation: SetValue | DeleteValue, fold: Fold) -> None:
    names.check_value_name(operation.name)
    folded = fold(operation.name)
    if folded in key.values:
        raise Malformed(f"value {quoted(operation.name)} is changed twice")
    if isinstance(operation, SetValue) and len(operation.data) > LARGEST_VALUE:
        raise Malformed(f"value {quoted(operation.name)} of {len(operation.data)} bytes is too large")
    key.values[folded] = operation


def walk(root: DeltaKey) -> Iterator[tuple[Path, DeltaKey]]:
    """Each key with its path, before those below it, in the order in which a hive lists them."""
    pending: list[tuple[Path, DeltaKey]] = [((), root)]
    while pending:
        path, key = pending.pop()
        yield path, key
        pending += [((*path, below.name), below) for below in reversed(key.sorted_subkeys())]
