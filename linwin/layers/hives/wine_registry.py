"""A part of one of Wine's registry files as keys that can be compared."""

from __future__ import annotations

from collections.abc import Mapping

from linwin.layers.hives.compare import Key, Value
from linwin.layers.hives.records import SYMBOLIC_LINK
from linwin.layers.hives.regf import Path
from linwin.layers.hives.wine_file import Node, WineFile


def wine_key(file: WineFile, path: Path) -> Key | None:
    """The key at ``path`` of a file, None where there is none. Raises Malformed."""
    node = file.find(path)
    return None if node is None else WineKey(file, node)


class WineKey:
    """Implements :class:`linwin.layers.hives.compare.Key`.

    A key that the file does not mention, because only its subkeys say something, has no values.
    """

    security = None
    user_flags = 0

    def __init__(self, file: WineFile, node: Node) -> None:
        self._file = file
        self._node = node
        self.name = node.name
        text = node.text
        self._is_link = text is not None and text.link_target() is not None
        self.class_name = "" if text is None else text.class_name()
        self.flags = SYMBOLIC_LINK if self._is_link else 0

    @property
    def written(self) -> int:
        return 0 if self._node.text is None else self._node.text.written()

    def values(self) -> Mapping[str, Value]:
        if self._node.text is None:
            return {}
        fold = self._file.fold
        return {fold(name): Value(name, type, data) for name, type, data in self._node.text.values()}

    def subkeys(self) -> Mapping[str, Key]:
        # Whoever opens a key below a link comes to what the link leads to.
        if self._is_link:
            return {}
        return {folded: WineKey(self._file, node) for folded, node in self._node.children.items()}

    def is_same(self, other: Key) -> bool:
        """Only of keys without subkeys, whose texts are compared as they are."""
        if not isinstance(other, WineKey) or self._node.children or other._node.children:
            return False
        mine, theirs = self._node.text, other._node.text
        return mine is not None and theirs is not None and mine.says_the_same(theirs)
