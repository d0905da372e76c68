"""Random keys, for hives and for deltas."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.layers.hives.hive_writer import (
    MERGE,
    OTHER,
    PLAIN,
    SUPERSEDE_NODE,
    SUPERSEDE_TREE,
    TOMBSTONE,
    WHEN,
    Data,
    Deleted,
    HiveWriter,
    Key,
    descriptor,
    upper,
)

NAMES = st.sampled_from(["a", "A", "bb", "Ccc", "dDdD", "ü", "Ü", "日本", "🗝", "x y", "long " * 40])
VALUE_NAMES = st.sampled_from(["", "a", "A", "v1", "V1", "ü", "日本", "n" * 300])
SIZES = st.sampled_from([0, 1, 4, 5, 30, 200, 16_344, 16_345, 40_000])
DATA = st.tuples(
    st.integers(0, 12), st.builds(lambda size, byte: bytes([byte]) * size, SIZES, st.integers(0, 255))
)
SECURITIES = st.sampled_from([PLAIN, OTHER, descriptor(mask=0x1)])
CLASSES = st.sampled_from(["", "", "class", "Klasse ü", "日"])
TIMES = st.integers(WHEN, WHEN + 3)


def unique(keys: list[Key]) -> list[Key]:
    return list({upper(key.name): key for key in keys}.values())


def unique_values(values: list[tuple[str, Data]]) -> dict[str, Data]:
    return dict({upper(name): (name, data) for name, data in values}.values())


def keys(*, layered: bool) -> st.SearchStrategy[Key]:
    data = st.one_of(DATA, st.just(Deleted)) if layered else DATA
    values = st.lists(st.tuples(VALUE_NAMES, data), max_size=3).map(unique_values)
    semantics = st.sampled_from([MERGE, MERGE, SUPERSEDE_NODE, SUPERSEDE_TREE] if layered else [MERGE])
    inherits = st.booleans() if layered else st.just(False)

    def key(subkeys: st.SearchStrategy[list[Key]]) -> st.SearchStrategy[Key]:
        return st.builds(
            Key,
            name=NAMES,
            values=values,
            subkeys=subkeys,
            semantics=semantics,
            inherits_class=inherits,
            class_name=CLASSES,
            security=SECURITIES,
            written=TIMES,
        )

    leaf = key(st.just([]))
    if layered:
        leaf |= st.builds(Key, name=NAMES, semantics=st.just(TOMBSTONE))
    inner = st.recursive(leaf, lambda one: key(st.lists(one, max_size=5).map(unique)), max_leaves=12)
    return key(st.lists(inner, max_size=6).map(unique))


WRITERS = st.builds(
    HiveWriter,
    minor=st.sampled_from([3, 5, 6]),
    leaf=st.sampled_from(["li", "lf", "lh"]),
    per_leaf=st.sampled_from([0, 1, 2]),
)
