"""Reads Wine's registry files as its server does, sharing no code with what writes them."""

from __future__ import annotations

import re

from tests.unit.layers.hives.hive_checker import Tree
from tests.unit.layers.hives.hive_writer import upper

SIMPLE = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "e": 27}
TYPES = {"": 1, "str(2):": 2, "str(7):": 7}


def read(data: bytes) -> Tree:
    """The tree of a file. Links are keys like others; what only leads to others is there too."""
    root = Tree("", "", b"", 0, 0)
    lines = re.sub(r"\\\n\s*", "", data.decode("ascii")).split("\n")
    assert lines[0] == "WINE REGISTRY Version 2"
    node = root
    for line in lines:
        if line.startswith("["):
            path, rest = quoted(line[1:], "]")
            assert re.fullmatch(r" \d+", rest)
            node = enter(root, path.split("\\"))
        elif line.startswith("#class="):
            node.class_name, _ = quoted(line.removeprefix('#class="'), '"')
        elif line.startswith("#time="):
            node.written = int(line.removeprefix("#time="), 16)
        elif line.startswith(('"', "@")):
            name, rest = quoted(line[1:], '"') if line[0] == '"' else ("", line[1:])
            assert rest[0] == "="
            node.values[upper(name)] = (name, *value(rest[1:]))
        else:
            assert not line or line[0] in "W;#", line
    return root


def enter(node: Tree, path: list[str]) -> Tree:
    for name in path:
        node = node.children.setdefault(upper(name), Tree(name, "", b"", 0, 0))
    return node


def value(text: str) -> tuple[int, bytes]:
    if match := re.match(r'(|str\([27]\):)"', text):
        content, rest = quoted(text[match.end() :], '"')
        assert not rest
        return TYPES[match[1]], (content + "\0").encode("utf-16-le", "surrogatepass")
    if text.startswith("dword:"):
        return 4, int(text.removeprefix("dword:"), 16).to_bytes(4, "little")
    match = re.fullmatch(r"hex(?:\(([0-9a-f]+)\))?:((?:[0-9a-f]{2},?)*)", text)
    assert match, text
    return int(match[1] or "3", 16), bytes.fromhex(match[2].replace(",", ""))


def quoted(text: str, end: str) -> tuple[str, str]:
    """A string up to its unescaped end, and what follows that."""
    units: list[int] = []
    at = 0
    while text[at] != end:
        if text[at] != "\\":
            units.append(ord(text[at]))
            at += 1
            continue
        if match := re.compile(r"x([0-9a-fA-F]{1,4})").match(text, at + 1):
            units.append(int(match[1], 16))
        elif match := re.compile(r"([0-7]{1,3})").match(text, at + 1):
            units.append(int(match[1], 8))
        else:
            match = re.compile(r"(.)").match(text, at + 1)
            assert match
            units.append(SIMPLE.get(match[1], ord(match[1])))
        at = match.end()
    data = b"".join(unit.to_bytes(2, "little") for unit in units)
    return data.decode("utf-16-le", "surrogatepass"), text[at + 1 :]
