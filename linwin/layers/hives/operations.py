"""What a registry delta does, one step at a time, whatever it is done to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from linwin.layers.hives.records import Lower
from linwin.layers.hives.regf import Path


@dataclass(frozen=True, slots=True)
class PutKey:
    """A key exists, with what the hives below have of it treated as ``lower`` says.

    ``class_name`` None keeps the class that it has below, ``security`` (a
    self-relative descriptor) None the descriptor, or its parent's where there
    is none. ``flags`` (of the key node) and ``user_flags`` count for keys that
    are new or replaced. ``written`` is a FILETIME.
    """

    path: Path
    lower: Lower
    class_name: str | None
    security: bytes | None
    written: int
    flags: int
    user_flags: int


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """A key and all that is below it are gone."""

    path: Path


@dataclass(frozen=True, slots=True)
class SetValue:
    path: Path
    name: str
    type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class DeleteValue:
    path: Path
    name: str


Operation = PutKey | DeleteKey | SetValue | DeleteValue


class Kept(Enum):
    """What of a key is kept when all around it is deleted."""

    NOTHING = 0
    SOME_SUBKEYS = 1
    ALL = 2


Keep = Callable[[Path], Kept]


class Registry(Protocol):
    """Something to apply operations to. A key is put before its values and subkeys are.

    Deleting what does not exist does nothing. ``keep`` says of each key that
    would vanish what of it has to stay. All methods raise Malformed.
    """

    def put_key(self, key: PutKey, keep: Keep) -> None: ...

    def delete_key(self, path: Path, keep: Keep) -> None: ...

    def set_value(self, value: SetValue) -> None: ...

    def delete_value(self, path: Path, name: str) -> None: ...
