"""Two registries, the delta that tells them apart, and that delta on the older one: the newer one again."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.layers.errors import Malformed
from linwin.layers.hives import (
    InMemory,
    Operation,
    PutKey,
    compare,
    hive_keys,
    write_delta,
)
from linwin.layers.hives.hive_registry import HiveKey
from linwin.layers.hives.noise import Noise, OwnWrites
from linwin.layers.hives.operations import DeleteKey, DeleteValue, SetValue
from linwin.layers.hives.records import Lower
from linwin.layers.hives.regf import Hive
from tests.unit.layers.hives.hive_checker import Checker, Tree, read
from tests.unit.layers.hives.hive_writer import (
    LINK,
    OTHER,
    PLAIN,
    REG_BINARY,
    REG_DWORD,
    REG_LINK,
    REG_SZ,
    TOMBSTONE,
    WHEN,
    Deleted,
    HiveWriter,
    Key,
    text,
    upper,
)
from tests.unit.layers.hives.memory import merged
from tests.unit.layers.hives.strategies import WRITERS, keys

SLOW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
SILENCE = Noise(OwnWrites(), upper)


def differences(old: bytes, new: bytes, noise: Noise = SILENCE) -> list[Operation]:
    return list(compare(*hive_keys(old, new, upper), upper, noise))


def delta_of(operations: list[Operation]) -> bytes:
    delta = write_delta(operations, upper, PLAIN)
    Checker(delta).check()
    return delta


def with_changes(old: bytes, operations: list[Operation]) -> bytes:
    return merged(old, delta_of(operations)) if operations else old


def seen(tree: Tree) -> object:
    """What of a key counts: neither times nor how names are spelled."""
    return (
        tree.class_name,
        tree.security,
        tree.flags & LINK,
        {folded: data for folded, (_, *data) in sorted(tree.values.items())},
        {folded: seen(tree.children[folded]) for folded in sorted(tree.children)},
    )


# ---- binary hives -------------------------------------------------------------


@SLOW
@given(keys(layered=False), keys(layered=False), WRITERS, WRITERS)
def test_any_two_hives(base: Key, other: Key, writer: HiveWriter, another: HiveWriter) -> None:
    old, new = writer.write(base), another.write(other)
    assert seen(read(with_changes(old, differences(old, new)))) == seen(read(new))


@SLOW
@given(keys(layered=False), WRITERS, st.lists(keys(layered=True), min_size=1, max_size=3))
def test_a_hive_that_was_changed_in_place(base: Key, writer: HiveWriter, changes: list[Key]) -> None:
    old = new = writer.write(base)
    for change in changes:
        new = merged(new, HiveWriter(layered=True).write(change))
    operations = differences(old, new)
    assert seen(read(with_changes(old, operations))) == seen(read(new))
    assert operations == differences_without_pages(old, new)


def differences_without_pages(old: bytes, new: bytes) -> list[Operation]:
    """What a look at each and every key tells."""
    before, after = Hive(InMemory(old), upper), Hive(InMemory(new), upper)
    roots = (HiveKey(before, before.block.root, None), HiveKey(after, after.block.root, None))
    return list(compare(*roots, upper, SILENCE))


def large(seed: int) -> Key:
    """Some thousand keys on a few hundred pages."""
    chance = random.Random(seed)

    def key(name: str, depth: int) -> Key:
        values = {f"v{n}": (REG_BINARY, chance.randbytes(chance.choice([2, 20, 300]))) for n in range(3)}
        below = [key(f"key {n}", depth - 1) for n in range(6)] if depth else []
        return Key(name, dict(values), below, security=chance.choice([PLAIN, OTHER]))

    root = key("ROOT", 4)
    root.values["big"] = REG_BINARY, chance.randbytes(40_000)
    return root


LARGE = HiveWriter().write(large(1))


def changed_at_random(chance: random.Random) -> Key:
    """A delta of a few changes to the large hive."""
    root = Key("ROOT")
    for _ in range(chance.randint(1, 4)):
        above = root
        for name in [f"key {chance.randint(0, 6)}" for _ in range(chance.randint(1, 4))]:
            below = next((one for one in above.subkeys if one.name == name), None)
            if below is None:
                below = Key(name, security=chance.choice([PLAIN, OTHER]))
                above.subkeys.append(below)
            above = below
        if above.subkeys or above.values:
            continue
        match chance.randint(0, 3):
            case 0:
                above.semantics = TOMBSTONE
            case 1:
                above.values["v1"] = Deleted
            case 2:
                above.values["v1"] = REG_BINARY, chance.randbytes(chance.choice([3, 50, 20_000]))
            case 3:
                above.class_name = "class"
    for key in tombstones_above(root):
        key.semantics = 0
    return root


def tombstones_above(key: Key) -> list[Key]:
    found = [key] if key.semantics == TOMBSTONE and key.subkeys else []
    return found + [one for below in key.subkeys for one in tombstones_above(below)]


@pytest.mark.parametrize("seed", range(25))
def test_pages_that_did_not_change_hide_nothing(seed: int) -> None:
    chance = random.Random(seed)
    new = merged(LARGE, HiveWriter(layered=True).write(changed_at_random(chance)))
    assert differences(LARGE, new) == differences_without_pages(LARGE, new)


def test_a_change_of_a_large_hive_is_looked_for_in_few_keys(monkeypatch) -> None:
    change = Key("D", {}, [Key("key 3", {}, [Key("key 2", {"v1": (REG_SZ, text("new"))})])])
    new = merged(LARGE, HiveWriter(layered=True).write(change))
    looked_at: list[int] = []
    node = Hive.node
    monkeypatch.setattr(Hive, "node", lambda hive, offset: looked_at.append(offset) or node(hive, offset))
    assert [type(one) for one in differences(LARGE, new)] == [PutKey, PutKey, PutKey, SetValue]
    assert len(looked_at) < 200  # of twice 1,555


def test_the_change_of_one_of_many_equal_segments_is_seen() -> None:
    data = bytearray(100_000)
    old = HiveWriter().write(Key("R", {"v": (REG_BINARY, bytes(data))}))
    data[70_000] = 1
    new = HiveWriter().write(Key("R", {"v": (REG_BINARY, bytes(data))}))
    assert [type(one) for one in differences(old, new)] == [PutKey, SetValue]


BASE = Key(
    "ROOT",
    {"v": (REG_SZ, text("x"))},
    [
        Key("Vendor", {"Path": (REG_SZ, text("p")), "N": (REG_DWORD, b"1234")}, [Key("Lower"), Key("Deep")]),
        Key("Link", {"SymbolicLinkValue": (REG_LINK, b"a\0")}, flags=LINK),
        Key("Class", class_name="c"),
        Key("Last"),
    ],
)


def edited(edit: Callable[[Key], object]) -> list[Operation]:
    """What is told once the base was edited and the hive written anew."""
    new = deepcopy(BASE)
    edit(new)
    return differences(HiveWriter().write(BASE), HiveWriter().write(new))


def put(*path: str, **changes: object) -> PutKey:
    """How a key that stays is put."""
    given: dict[str, object] = {"lower": Lower.MERGED, "class_name": None, "security": PLAIN, "flags": 0}
    return PutKey(path=path, written=WHEN, user_flags=0, **{**given, **changes})  # type: ignore[arg-type]


ROOT = put(flags=8)


def test_equal_hives_have_no_difference() -> None:
    hive = HiveWriter().write(BASE)
    assert differences(hive, hive) == []
    assert differences(hive, HiveWriter(leaf="lf", per_leaf=1).write(BASE)) == []


def test_times_are_no_difference() -> None:
    def touch(key: Key) -> None:
        key.written += 5
        for below in key.subkeys:
            touch(below)

    assert edited(touch) == []


def test_spelling_and_the_order_of_values_are_no_difference() -> None:
    def respell(root: Key) -> None:
        vendor = root.subkeys[0]
        vendor.name = "VENDOR"
        vendor.values = {"n": vendor.values["N"], "PATH": vendor.values["Path"]}

    assert edited(respell) == []


def test_values_that_are_set_and_deleted() -> None:
    def edit(root: Key) -> None:
        root.subkeys[0].values = {"n": (REG_BINARY, b"1234"), "New": (REG_SZ, text("y"))}

    assert edited(edit) == [
        ROOT,
        put("Vendor"),
        SetValue(("Vendor",), "n", REG_BINARY, b"1234"),
        SetValue(("Vendor",), "New", REG_SZ, text("y")),
        DeleteValue(("Vendor",), "Path"),
    ]


def test_keys_that_come_and_go() -> None:
    def edit(root: Key) -> None:
        root.subkeys[0].subkeys = [Key("New", {"v": (REG_SZ, b"")}, [Key("Newer")], class_name="k")]
        del root.subkeys[3]

    assert edited(edit) == [
        ROOT,
        DeleteKey(("Last",)),
        put("Vendor"),
        DeleteKey(("Vendor", "Deep")),
        DeleteKey(("Vendor", "Lower")),
        put("Vendor", "New", class_name="k"),
        SetValue(("Vendor", "New"), "v", REG_SZ, b""),
        put("Vendor", "New", "Newer", class_name=""),
    ]


def test_classes_and_descriptors() -> None:
    def edit(root: Key) -> None:
        root.subkeys[0].subkeys[0].security = OTHER
        root.subkeys[2].class_name = ""
        root.subkeys[3].class_name = "new"

    assert edited(edit) == [
        ROOT,
        put("Class", class_name=""),
        put("Last", class_name="new"),
        put("Vendor"),
        put("Vendor", "Lower", security=OTHER),
    ]


def test_a_link_that_leads_elsewhere() -> None:
    def edit(root: Key) -> None:
        root.subkeys[1].values = {"SymbolicLinkValue": (REG_LINK, b"b\0")}

    target = SetValue(("Link",), "SymbolicLinkValue", REG_LINK, b"b\0")
    assert edited(edit) == [ROOT, put("Link", flags=LINK), target]


def test_a_key_that_becomes_a_link_replaces_all_below() -> None:
    def edit(root: Key) -> None:
        root.subkeys[0] = Key("Vendor", {"SymbolicLinkValue": (REG_LINK, b"c\0")}, flags=LINK)

    assert edited(edit) == [
        ROOT,
        put("Vendor", lower=Lower.TREE_REPLACED, class_name="", flags=LINK),
        SetValue(("Vendor",), "SymbolicLinkValue", REG_LINK, b"c\0"),
    ]


def test_other_flags_replace_the_key_and_keep_what_is_below() -> None:
    def edit(root: Key) -> None:
        root.subkeys[0].flags = 8

    assert edited(edit) == [
        ROOT,
        put("Vendor", lower=Lower.NODE_REPLACED, flags=8),
        SetValue(("Vendor",), "N", REG_DWORD, b"1234"),
        SetValue(("Vendor",), "Path", REG_SZ, text("p")),
    ]


def test_a_hive_whose_keys_lead_to_each_other() -> None:
    hive = bytearray(HiveWriter().write(Key("R", {}, [Key("aaaa", {}, [Key("bbbb")])])))
    root = 0x20
    inner = hive.index(b"lh", hive.index(b"bbbb"))
    hive[inner + 4 : inner + 8] = root.to_bytes(4, "little")
    with pytest.raises(Malformed, match=r"^the cell at 0x20 belongs to two others$"):
        differences(HiveWriter().write(Key("R")), bytes(hive))


# ---- what is no change -----------------------------------------------------------

NOISE = Noise(
    OwnWrites(
        keys=(("Own",), ("Vendor", "Cache")),
        values=((("Vendor",), ("Seed",)),),
        empty_keys=(("Empty",),),
    ),
    upper,
)


def told(*keys: Key) -> list[Operation]:
    old = HiveWriter().write(Key("R", {}, [Key("Vendor")]))
    return differences(old, HiveWriter().write(Key("R", {}, list(keys))), NOISE)


def test_noise_alone_is_nothing() -> None:
    vendor = Key("VENDOR", {"seed": (REG_SZ, text("x"))}, [Key("cache", {"v": (REG_SZ, b"")}, [Key("k")])])
    assert told(vendor, Key("own", {}, [Key("k")]), Key("EMPTY")) == []


def test_what_is_beside_noise_is_told() -> None:
    vendor = Key("Vendor", {"Seed": (REG_SZ, b""), "v": (REG_SZ, b"")}, [Key("Cache")])
    assert told(vendor, Key("Empty", {}, [Key("k")])) == [
        ROOT,
        put("Empty", class_name=""),
        put("Empty", "k", class_name=""),
        put("Vendor"),
        SetValue(("Vendor",), "v", REG_SZ, b""),
    ]


def test_a_new_key_around_noise_is_noise_too() -> None:
    noise = Noise(OwnWrites(keys=(("A", "B", "C"),)), upper)
    old = HiveWriter().write(Key("R"))
    inner = Key("A", {}, [Key("B", {}, [Key("C", {"v": (REG_SZ, b"")})])])
    assert differences(old, HiveWriter().write(Key("R", {}, [inner])), noise) == []
    inner.subkeys.append(Key("D"))
    new = HiveWriter().write(Key("R", {}, [inner]))
    assert [one.path for one in differences(old, new, noise)] == [(), ("A",), ("A", "D")]


def test_noise_that_is_gone_is_nothing_either() -> None:
    old = HiveWriter().write(Key("R", {}, [Key("Own"), Key("Vendor", {"Seed": (REG_SZ, b"")})]))
    assert differences(old, HiveWriter().write(Key("R", {}, [Key("Vendor")])), NOISE) == []
