"""The keys of a wine guest's user in a layer's deltas.

Windows keeps HKEY_CURRENT_USER in a file in the user's profile, as any file of a layer, and no
delta is about it. Wine keeps one for all users in a text, which would be no use to Windows.
So ``Software_Delta`` has these keys, out of the way of all others: Windows finds keys there
that nobody asks for, and a wine guest has them put where they belong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from linwin.layers.errors import Malformed
from linwin.layers.hives.names import Fold
from linwin.layers.hives.operations import Operation, PutKey, SetValue
from linwin.layers.hives.records import Lower
from linwin.layers.hives.regf import Path
from linwin.layers.hives.wine_file import LARGEST_FILE, MOST_KEYS

USERS_KEYS: Path = ("linwin", "CurrentUser")
"""Where ``Software_Delta`` has the keys of the user."""


class UsersOperations:
    """What a delta of SOFTWARE says of the user's keys, kept until the file that has them can be opened."""

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._top = tuple(map(fold, USERS_KEYS))
        self._size = 0
        self.kept: list[Operation] = []
        """With paths from the root of HKEY_CURRENT_USER on."""

    def taken_from(self, operations: Iterable[Operation]) -> Iterator[Operation]:
        """Yield what is about other keys, and keep the rest. Raises Malformed when that is too much."""
        for operation in operations:
            folded = tuple(map(self._fold, operation.path[: len(self._top)]))
            if folded == self._top:
                self._keep(replace(operation, path=operation.path[len(self._top) :]))
            elif not (folded and folded == self._top[: len(folded)] and says_nothing(operation)):
                yield operation

    def _keep(self, operation: Operation) -> None:
        self._size += len(operation.data) if isinstance(operation, SetValue) else 0
        self.kept.append(operation)
        if self._size > LARGEST_FILE or len(self.kept) > MOST_KEYS:
            raise Malformed("it has more of the user's keys than Wine's registry can hold")


def says_nothing(operation: Operation) -> bool:
    """Whether a key is put only for those below it to have a place."""
    return isinstance(operation, PutKey) and operation.class_name is None and operation.lower is Lower.MERGED
