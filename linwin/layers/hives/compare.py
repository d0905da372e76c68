"""The difference of two registries, key by key, as the operations that make one the other.

When a key was written makes no difference, nor does in what case a name is spelled,
nor the order of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from linwin.layers.hives import names
from linwin.layers.hives.edit import GIVEN_FLAGS, about
from linwin.layers.hives.names import Fold
from linwin.layers.hives.noise import Noise
from linwin.layers.hives.operations import DeleteKey, DeleteValue, Operation, PutKey, SetValue
from linwin.layers.hives.records import SYMBOLIC_LINK, Lower
from linwin.layers.hives.regf import Path


@dataclass(frozen=True, slots=True)
class Value:
    name: str
    type: int
    data: bytes


class Key(Protocol):
    """One key of a registry that is compared. All raise Malformed.

    ``security`` is None where the registry has no descriptors; values and subkeys
    go by their folded names, and what lies below a link is not among them.
    """

    @property
    def name(self) -> str: ...

    @property
    def class_name(self) -> str: ...

    @property
    def security(self) -> bytes | None: ...

    @property
    def written(self) -> int: ...

    @property
    def flags(self) -> int: ...

    @property
    def user_flags(self) -> int: ...

    def values(self) -> Mapping[str, Value]: ...

    def subkeys(self) -> Mapping[str, Key]: ...

    def is_same(self, other: Key) -> bool:
        """Whether this key and all below it is known to be as in the other registry, without a look."""


def compare(old: Key | None, new: Key | None, fold: Fold, noise: Noise) -> Iterator[Operation]:
    """Yield what makes the registry with the root ``old`` the one with the root ``new``.

    Keys come before their values, those before the subkeys, all sorted. A key on the way
    to a change is put as well, merged, with the time that it has. None is a root
    without anything in it. Raises Malformed, naming the key.
    """
    return Comparison(fold, noise).operations(old or NOTHING, new or NOTHING)


Pair = tuple[Path, Key | None, Key | None]
"""A path, and what is there in the old and in the new registry."""


@dataclass(slots=True)
class Step:
    """One key on the way from the root to the one that is compared.

    ``is_new`` says that it has to be put because it was not there, unless ``has_noise``:
    a new key in which there is noise and nothing else is noise itself.
    """

    put: PutKey
    rest: Iterator[Pair]
    is_put: bool = False
    is_new: bool = False
    has_noise: bool = False


class Comparison:
    def __init__(self, fold: Fold, noise: Noise) -> None:
        self._fold = fold
        self._noise = noise
        self._trail: list[Step] = []

    def operations(self, old: Key, new: Key) -> Iterator[Operation]:
        # Not recursive: how deep keys lie in each other is the guest's choice.
        yield from self._enter((), old, new)
        while self._trail:
            following = next(self._trail[-1].rest, None)
            if following is None:
                yield from self._leave()
                continue
            path, before, after = following
            if self._noise.has_key(path):
                self._trail[-1].has_noise = True
            elif after is None:
                yield from self._way()
                yield DeleteKey(path)
            elif before is None or not after.is_same(before):
                with about(path):
                    yield from self._enter(path, before, after)

    def _enter(self, path: Path, old: Key | None, new: Key) -> Iterator[Operation]:
        """Compare a key itself, and make those below it the next ones to be compared."""
        put = self._put(path, old, new)
        changes = self._value_changes(path, old if put.lower is Lower.MERGED else None, new)
        below = self._below(path, old if put.lower is not Lower.TREE_REPLACED else None, new)
        step = Step(put, iter(below), is_new=old is None, has_noise=self._noise.has_empty_key(path))
        self._trail.append(step)
        if changes or put.lower is not Lower.MERGED or is_described(put, old):
            yield from self._way()
            yield from changes

    def _leave(self) -> Iterator[Operation]:
        """Put a new key that nothing came below."""
        step = self._trail[-1]
        if step.is_new and not step.is_put:
            if step.has_noise and len(self._trail) > 1:
                self._trail[-2].has_noise = True
            else:
                yield from self._way()
        self._trail.pop()

    def _way(self) -> Iterator[Operation]:
        """The keys on the way, the last one included, that have not been put yet."""
        for step in self._trail:
            if not step.is_put:
                step.is_put = True
                yield step.put

    def _put(self, path: Path, old: Key | None, new: Key) -> PutKey:
        lower = Lower.MERGED
        if old is not None and own_flags(old) != own_flags(new):
            turned = (old.flags ^ new.flags) & SYMBOLIC_LINK
            lower = Lower.TREE_REPLACED if turned else Lower.NODE_REPLACED
        same_class = old is not None and old.class_name == new.class_name
        return PutKey(
            path=path,
            lower=lower,
            class_name=None if same_class and lower is not Lower.TREE_REPLACED else new.class_name,
            security=new.security,
            written=new.written,
            flags=new.flags & GIVEN_FLAGS,
            user_flags=new.user_flags,
        )

    def _value_changes(self, path: Path, old: Key | None, new: Key) -> list[SetValue | DeleteValue]:
        changes: list[SetValue | DeleteValue] = []
        before, after = old.values() if old else {}, new.values()
        for folded in sorted(before.keys() | after.keys(), key=names.order):
            was, value = before.get(folded), after.get(folded)
            if self._noise.has_value(path, folded):
                continue
            if value is None:
                changes.append(DeleteValue(path, before[folded].name))
            elif was is None or (value.type, value.data) != (was.type, was.data):
                changes.append(SetValue(path, value.name, value.type, value.data))
        return changes

    def _below(self, path: Path, old: Key | None, new: Key) -> list[Pair]:
        pairs: list[Pair] = []
        before, after = old.subkeys() if old else {}, new.subkeys()
        for folded in sorted(before.keys() | after.keys(), key=names.order):
            was, is_ = before.get(folded), after.get(folded)
            named = was or is_
            assert named is not None
            pairs.append(((*path, named.name), was, is_))
        return pairs


def own_flags(key: Key) -> tuple[int, int]:
    """The flags of a key that a delta decides."""
    return key.flags & GIVEN_FLAGS, key.user_flags


def is_described(put: PutKey, old: Key | None) -> bool:
    """Whether a key gets a class, or one that stays another class or descriptor."""
    if old is None:
        return bool(put.class_name)
    return put.class_name is not None or put.security != old.security


class Nothing:
    """A root without anything in it."""

    name = class_name = ""
    security = None
    written = flags = user_flags = 0

    def values(self) -> Mapping[str, Value]:
        return {}

    def subkeys(self) -> Mapping[str, Key]:
        return {}

    def is_same(self, other: Key) -> bool:
        return other is self


NOTHING = Nothing()
