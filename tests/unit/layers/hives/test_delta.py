"""Deltas as operations: in order, each with what the layered bits say."""

from __future__ import annotations

from linwin.layers.hives import read_delta
from linwin.layers.hives.operations import DeleteKey, DeleteValue, PutKey, SetValue
from linwin.layers.hives.records import Lower
from tests.unit.layers.hives.hive_writer import (
    LINK,
    OTHER,
    PLAIN,
    REG_DWORD,
    REG_SZ,
    SUPERSEDE_NODE,
    SUPERSEDE_TREE,
    TOMBSTONE,
    WHEN,
    Deleted,
    HiveWriter,
    Key,
    text,
    upper,
)
from tests.unit.layers.hives.memory import Memory

LAYER = Key(
    "any name",
    {"v": (REG_SZ, text("x")), "gone": Deleted},
    [
        Key("dead", semantics=TOMBSTONE),
        Key("merged", {"": (REG_DWORD, b"\1\0\0\0")}, inherits_class=True, class_name="c", written=WHEN + 5),
        Key("node", semantics=SUPERSEDE_NODE, security=OTHER, class_name="Klasse"),
        Key("tree", subkeys=[Key("ünter")], semantics=SUPERSEDE_TREE, flags=LINK),
    ],
)


def put(*path: str, lower: Lower = Lower.MERGED, **changes: object) -> PutKey:
    given: dict[str, object] = {
        "class_name": "",
        "security": PLAIN,
        "written": WHEN,
        "flags": 0x20 if path else 0x2C,
        **changes,
    }
    return PutKey(path=path, lower=lower, user_flags=0, **given)  # type: ignore[arg-type]


def test_a_layered_delta() -> None:
    hive = HiveWriter(layered=True, leaf="lf", per_leaf=2, minor=6).write(LAYER)
    assert list(read_delta(Memory(hive), upper)) == [
        put(),
        SetValue((), "v", REG_SZ, text("x")),
        DeleteValue((), "gone"),
        DeleteKey(("dead",)),
        put("merged", class_name=None, written=WHEN + 5),
        SetValue(("merged",), "", REG_DWORD, b"\1\0\0\0"),
        put("node", lower=Lower.NODE_REPLACED, security=OTHER, class_name="Klasse"),
        put("tree", lower=Lower.TREE_REPLACED, flags=0x20 | LINK),
        put("tree", "ünter"),
    ]


def test_a_hive_that_is_not_layered_is_merged_as_a_whole() -> None:
    """Its bits mean nothing, and a key without a class does not take the class away."""
    operations = list(read_delta(Memory(HiveWriter().write(LAYER)), upper))
    assert put("dead", class_name=None) in operations
    assert SetValue((), "gone", 0, b"") in operations
    assert put("node", security=OTHER, class_name="Klasse") in operations
    assert not any(isinstance(one, DeleteKey | DeleteValue) for one in operations)
    assert {one.lower for one in operations if isinstance(one, PutKey)} == {Lower.MERGED}
