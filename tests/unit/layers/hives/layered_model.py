"""What layered keys mean, on plain dictionaries."""

from __future__ import annotations

from tests.unit.layers.hives.hive_checker import Tree
from tests.unit.layers.hives.hive_writer import (
    SUPERSEDE_NODE,
    SUPERSEDE_TREE,
    TOMBSTONE,
    Key,
    upper,
)


def plain(key: Key) -> Tree:
    """The tree that a hive is which was written without layers."""
    tree = Tree(key.name, key.class_name, key.security, key.written, 0)
    tree.values = {upper(name): (name, *data) for name, data in key.values.items()}
    tree.children = {upper(one.name): plain(one) for one in key.subkeys}
    return tree


def merge(lower: Tree | None, key: Key) -> Tree:
    """What is seen of ``key`` on top of ``lower``."""
    if lower is None:
        lower = Tree(key.name, "", b"", 0, 0)
    if key.semantics in (SUPERSEDE_NODE, SUPERSEDE_TREE):
        lower.values = {}
    if key.semantics == SUPERSEDE_TREE:
        lower.children = {}
    lower.class_name = lower.class_name if key.inherits_class else key.class_name
    lower.security, lower.written = key.security, key.written
    for name, data in key.values.items():
        folded = upper(name)
        if isinstance(data, tuple):
            written = lower.values[folded][0] if folded in lower.values else name
            lower.values[folded] = (written, *data)
        else:
            lower.values.pop(folded, None)
    for one in key.subkeys:
        folded = upper(one.name)
        if one.semantics == TOMBSTONE:
            lower.children.pop(folded, None)
        else:
            lower.children[folded] = merge(lower.children.get(folded), one)
    return lower


def view(tree: Tree, *, is_root: bool = True) -> object:
    """A tree for comparing; the root of a hive may be called anything."""
    return (
        "" if is_root else tree.name,
        tree.class_name,
        tree.security,
        tree.written,
        dict(sorted(tree.values.items())),
        [view(tree.children[folded], is_root=False) for folded in sorted(tree.children)],
    )
