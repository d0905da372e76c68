"""Random deltas on random registries: what comes out and plain dictionaries must agree.

Of a binary hive, no cell may be lost either.
"""

from __future__ import annotations

from copy import deepcopy

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.layers.hives import Protection, WineFile, WineHive, apply, read_delta
from tests.unit.layers.hives import wine_reader
from tests.unit.layers.hives.hive_checker import Tree, read
from tests.unit.layers.hives.hive_writer import HiveWriter, Key, upper
from tests.unit.layers.hives.layered_model import merge, plain, view
from tests.unit.layers.hives.memory import Memory, merged
from tests.unit.layers.hives.strategies import WRITERS, keys

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(keys(layered=False), WRITERS)
def test_the_writer_and_the_checker_agree(root: Key, writer: HiveWriter) -> None:
    assert view(read(writer.write(root))) == view(plain(root))


@SLOW
@given(keys(layered=False), WRITERS, st.lists(keys(layered=True), min_size=1, max_size=3))
def test_deltas_on_a_hive(base: Key, writer: HiveWriter, deltas: list[Key]) -> None:
    hive, expected = writer.write(base), plain(deepcopy(base))
    for delta in deltas:
        hive = merged(hive, HiveWriter(layered=True).write(delta))
        expected = merge(expected, delta)
        assert view(read(hive)) == view(expected)


@SLOW
@given(keys(layered=False), keys(layered=True))
def test_a_delta_that_is_applied_again_changes_nothing(base: Key, delta: Key) -> None:
    layer = HiveWriter(layered=True).write(delta)
    once = merged(HiveWriter().write(base), layer)
    assert view(read(merged(once, layer))) == view(read(once))


@SLOW
@given(st.lists(keys(layered=True), min_size=1, max_size=4))
def test_deltas_on_wines_registry(deltas: list[Key]) -> None:
    data = b'WINE REGISTRY Version 2\n\n[Other\\\\key] 1\n"v"="x"\n\n'
    expected = Tree("", "", b"", 0, 0)
    for delta in deltas:
        file = WineFile(Memory(data), upper, ("Machine",))
        layer = HiveWriter(layered=True).write(delta)
        apply(read_delta(Memory(layer), upper), WineHive(file, ("Software",)), Protection((), upper))
        data = b"".join(file.pieces())
        expected = merge(expected, delta)
        found = wine_reader.read(data)
        assert found["Other\\key"].data("v") == "x\0".encode("utf-16-le")
        assert shown(found["Software"]) == shown(expected)


def shown(tree: Tree, *, is_root: bool = True) -> object:
    """What Wine's files tell of a key: no descriptor, and no time of one that is not mentioned."""
    return (
        "" if is_root else tree.name,
        tree.class_name,
        tree.written if not is_root and (tree.values or not tree.children) else None,
        dict(sorted(tree.values.items())),
        [shown(tree.children[folded], is_root=False) for folded in sorted(tree.children)],
    )
