"""Applies operations to Wine's registry, in which a hive is one part of a text file.

Security descriptors have no place in it and are left out; so have the flags of
keys but the one that makes a link.
"""

from __future__ import annotations

from linwin.layers.hives.edit import about
from linwin.layers.hives.names import text_of
from linwin.layers.hives.operations import Keep, Kept, PutKey, SetValue
from linwin.layers.hives.records import SYMBOLIC_LINK, Lower
from linwin.layers.hives.regf import Path
from linwin.layers.hives.wine_file import Node, WineFile
from linwin.layers.hives.wine_key import LINK_VALUE
from linwin.layers.hives.wine_text import escape, value_data, value_name


class WineHive:
    """Implements :class:`linwin.layers.hives.operations.Registry` below the key ``root`` of ``file``.

    Raises Malformed, naming the key. What has been changed by then is worth nothing.
    """

    def __init__(self, file: WineFile, root: Path) -> None:
        self._file = file
        self._fold = file.fold
        self._root = root
        self._last: tuple[Path, Node] | None = None

    def put_key(self, key: PutKey, keep: Keep) -> None:
        with about(key.path):
            is_link = bool(key.flags & SYMBOLIC_LINK)
            # What replaces a key replaces a link as well, and not what that leads to.
            replaces = key.lower is not Lower.MERGED and keep(key.path) is not Kept.ALL
            follow = not (is_link or replaces)
            node = self._file.find(self._root + key.path, follow=follow)
            is_new = node is None
            node = node or self._file.find(self._root + key.path, make=True, follow=follow)
            assert node is not None
            self._last = key.path, node
            if not is_new and key.lower is not Lower.MERGED:
                self._replace(node, key, keep)
            if is_link and (is_new or key.lower is not Lower.MERGED):
                self._file.open(node).set_option("link", "#link")
            self._describe(node, key)

    def delete_key(self, path: Path, keep: Keep) -> None:
        with about(path):
            node = self._file.find(self._root + path, follow=False)
            if node is not None:
                self._last = None
                self._delete(node, path, keep)

    def set_value(self, value: SetValue) -> None:
        with about(value.path):
            node = self._node(value.path)
            folded = self._fold(value.name)
            name, data = value_name(value.name), value_data(value.type, value.data)
            self._file.grow(len(name) + len(data))
            self._file.open(node).set_value(folded, name, data)
            if node.link is not None and folded == LINK_VALUE.upper():
                node.link = self._file.link_path(text_of(value.data))

    def delete_value(self, path: Path, name: str) -> None:
        with about(path):
            node = self._node(path)
            if node.text is not None:
                self._file.open(node).delete_value(self._fold(name))

    def _node(self, path: Path) -> Node:
        """The key last put, of whose values this is one."""
        assert self._last is not None
        assert self._last[0] == path
        return self._last[1]

    def _describe(self, node: Node, key: PutKey) -> None:
        """Give a key its class and time. One that only leads to others needs no text for that."""
        if key.class_name or (node.text is None and not node.children):
            self._file.open(node)
        if node.text is None:
            return
        text = self._file.open(node)
        text.date(node.path, key.written)
        if key.class_name is not None:
            line = f'#class="{escape(key.class_name, chr(34))}"' if key.class_name else None
            text.set_option("class=", line)

    def _replace(self, node: Node, key: PutKey, keep: Keep) -> None:
        if node.text is not None:
            self._file.open(node).clear(keep_class=key.class_name is None)
        node.link = None
        if key.lower is Lower.TREE_REPLACED:
            self._delete_children(node, key.path, keep)

    def _delete(self, node: Node, path: Path, keep: Keep) -> bool:
        """Delete a key but what is to stay of it; whether it is gone."""
        kept = keep(path)
        if kept is Kept.ALL:
            return False
        if kept is Kept.SOME_SUBKEYS:
            self._delete_children(node, path, keep)
            if node.children:
                node.text = None
                return False
        self._file.remove(node)
        return True

    def _delete_children(self, node: Node, path: Path, keep: Keep) -> None:
        # As deep as the keys to keep are, which the list of them bounds.
        for child in list(node.children.values()):
            self._delete(child, (*path, child.name), keep)
