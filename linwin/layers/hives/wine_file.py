"""A registry file of Wine, a text, as a tree of keys.

Format: ``WINE REGISTRY Version 2``, as Wine's server/registry.c reads and
writes it. Keys keep their places in the file; new ones follow at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives.names import Fold
from linwin.layers.hives.regf import DEEPEST, Path
from linwin.layers.hives.storage import Readable
from linwin.layers.hives.wine_key import KeyText
from linwin.layers.hives.wine_text import key_line, unescape

SIGNATURE = b"WINE REGISTRY Version 2"
KEY = re.compile(rb"^[ \t]*\[((?:[^\]\\\n]|\\[^\n])*)\][^\n]*\n?", re.MULTILINE)
LARGEST_FILE = 32 << 20
"""Bytes. The template's is 1.2 MB; all of it is held in memory."""
MOST_KEYS = 1 << 18
MOST_LINKS = 32


class Node:
    """A key, by its name as written; ``text`` is None when only its subkeys are mentioned."""

    __slots__ = ("children", "link", "name", "parent", "text")

    def __init__(self, name: str, parent: Node | None) -> None:
        self.name = name
        self.parent = parent
        self.children: dict[str, Node] = {}
        self.text: KeyText | None = None
        self.link: Path | None = None

    @property
    def path(self) -> Path:
        names: list[str] = []
        node = self
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return tuple(reversed(names))


class WineFile:
    """One registry file of Wine, whose root is ``mounted_at`` in the registry's name space.

    Links are followed where they stay within the file. All methods raise Malformed.
    """

    def __init__(self, file: Readable, fold: Fold, mounted_at: Path) -> None:
        if file.size > LARGEST_FILE:
            raise Malformed(f"a registry file of Wine of {file.size} bytes is too large")
        self.fold = fold
        self._mounted_at = mounted_at
        self._root = Node("", None)
        self._keys: list[Node] = []  # those that have a text, in the file's order
        self._count = 0
        self._size = file.size
        self._opened: KeyText | None = None
        self._parse(file.read(0, file.size))

    def pieces(self) -> Iterator[bytes]:
        """The file's bytes from now on."""
        self._close()
        yield self._preamble
        for node in self._keys:
            if node.text is not None:
                yield from node.text.pieces()

    # ---- reading --------------------------------------------------------------

    def _parse(self, data: bytes) -> None:
        if data.partition(b"\n")[0].rstrip() != SIGNATURE:
            raise Malformed("it is not a registry file of Wine")
        if not data.endswith(b"\n"):
            data += b"\n"
        matches = KEY.finditer(data)
        match = next(matches, None)
        self._preamble = data[: match.start() if match else len(data)]
        while match is not None:
            following = next(matches, None)
            body = data[match.end() : following.start() if following else len(data)]
            self._read_key(match, body)
            match = following
        for node in self._keys:
            if node.text is not None and (target := node.text.link_target()):
                node.link = self.link_path(target)

    def _read_key(self, match: re.Match[bytes], body: bytes) -> None:
        path = tuple(part for part in unescape(match[1]).split("\\") if part)
        if len(path) > DEEPEST:
            raise Malformed(f"keys lie more than {DEEPEST} levels deep")
        node = self._root
        for name in path:
            node = self._child(node, name) or self._add(node, name)
        if node.text is not None:
            node.text.append(body)
        else:
            node.text = KeyText(match[0], body)
            self._keys.append(node)

    def _child(self, node: Node, name: str) -> Node | None:
        return node.children.get(self.fold(name))

    def _add(self, parent: Node, name: str) -> Node:
        self._count += 1
        if self._count > MOST_KEYS:
            raise Malformed(f"the registry would have more than {MOST_KEYS} keys")
        node = parent.children[self.fold(name)] = Node(name, parent)
        return node

    # ---- finding and changing -------------------------------------------------

    def find(self, path: Path, *, make: bool = False, follow: bool = True) -> Node | None:
        """The key at ``path``, links on the way followed, and the key itself if ``follow``."""
        pending, node, links = list(reversed(path)), self._root, 0
        while pending or (follow and node.link is not None):
            if node.link is not None:
                links += 1
                if links > MOST_LINKS:
                    raise Malformed("its links lead in a circle")
                pending += reversed(node.link)
                node = self._root
                continue
            name = pending.pop()
            child = self._child(node, name)
            if child is None:
                if not make:
                    return None
                child = self._add(node, name)
            node = child
        return node

    def link_path(self, target: str) -> Path | None:
        """A link's target, from the file's root on; None when it lies outside of the file."""
        names = tuple(name for name in target.split("\\") if name)
        start = tuple(self.fold(name) for name in ("Registry", *self._mounted_at))
        if tuple(self.fold(name) for name in names[: len(start)]) != start:
            return None
        return names[len(start) :]

    def open(self, node: Node) -> KeyText:
        """A key's text, ready to be changed; one is made if need be."""
        if node.text is None:
            node.text = KeyText(f"{key_line(node.path, 0)}\n".encode())
            self._keys.append(node)
        self._close(node.text)
        node.text.open(self.fold)
        self._opened = node.text
        return node.text

    def remove(self, node: Node) -> None:
        """Remove a key with all below it. The key above stays, also if nothing else mentioned it."""
        parent = node.parent
        assert parent is not None
        del parent.children[self.fold(node.name)]
        pending = [node]
        while pending:
            gone = pending.pop()
            gone.text = None
            pending += gone.children.values()
        if not parent.children and parent.text is None and parent.parent is not None:
            self.open(parent)

    def grow(self, size: int) -> None:
        """Count bytes that a key is given."""
        self._size += size
        if self._size > LARGEST_FILE:
            raise Malformed(f"the registry of Wine would become larger than {LARGEST_FILE >> 20} MiB")

    def _close(self, following: KeyText | None = None) -> None:
        if self._opened is not None and self._opened is not following:
            self._opened.close()
            self._opened = None
