"""Deltas that are written: their bytes, and what our reader, dissect.regf, hivex and a checker find."""

from __future__ import annotations

import io
import random
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from dissect.regf.regf import RegistryHive
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.layers.errors import Malformed
from linwin.layers.hives import Operation, PutKey, read_delta, write_delta
from linwin.layers.hives.edit import GIVEN_FLAGS
from linwin.layers.hives.operations import DeleteKey, DeleteValue, SetValue
from linwin.layers.hives.records import Lower
from tests.unit.layers.hives.hive_checker import Checker, read
from tests.unit.layers.hives.hive_writer import (
    LINK,
    OTHER,
    PLAIN,
    REG_BINARY,
    REG_DWORD,
    REG_SZ,
    WHEN,
    HiveWriter,
    Key,
    text,
    upper,
)
from tests.unit.layers.hives.memory import Memory
from tests.unit.layers.hives.strategies import keys
from tests.unit.layers.hives.test_delta import put

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
ALL_KINDS: list[Operation] = [
    put(flags=0x2C),
    DeleteValue((), "gone"),
    SetValue((), "v", REG_SZ, text("x")),
    DeleteKey(("dead",)),
    put("merged", class_name=None, written=WHEN + 5),
    SetValue(("merged",), "", REG_DWORD, b"\1\0\0\0"),
    put("node", lower=Lower.NODE_REPLACED, security=OTHER, class_name="Klasse"),
    put("tree", lower=Lower.TREE_REPLACED, flags=0x20 | LINK),
    put("tree", "ünter"),
    put("日本", flags=0),
]


def written(*operations: Operation) -> bytes:
    data = write_delta(operations, upper, PLAIN)
    Checker(data).check()
    return data


def told(data: bytes) -> list[Operation]:
    return list(read_delta(Memory(data), upper))


def test_what_is_written_is_read() -> None:
    assert told(written(*ALL_KINDS)) == ALL_KINDS


def test_the_order_of_operations_does_not_matter() -> None:
    shuffled = list(ALL_KINDS)
    random.Random(7).shuffle(shuffled)
    assert written(*shuffled) == written(*ALL_KINDS)


@SLOW
@given(keys(layered=True), st.randoms(use_true_random=False))
def test_any_delta_is_written_as_it_was(root: Key, order: random.Random) -> None:
    operations = told(HiveWriter(layered=True).write(root))
    shuffled = list(operations)
    order.shuffle(shuffled)
    data = written(*shuffled)
    assert in_any_order(told(data)) == in_any_order(operations)
    assert data == written(*operations)


def in_any_order(operations: list[Operation]) -> list[str]:
    """For comparing, whatever order values are in and whatever the root is called."""
    return sorted(
        str(replace(one, flags=one.flags & GIVEN_FLAGS) if isinstance(one, PutKey) else one)
        for one in operations
    )


def test_the_header() -> None:
    data = written(put("k"))
    assert len(data) == 8192
    assert struct.unpack_from("<4sIIQIIIIIII", data) == (b"regf", 1, 1, WHEN, 1, 6, 0, 1, 0x20, 4096, 1)
    assert struct.unpack_from("<I", data, 0x90) == (2,)
    assert struct.unpack_from("<4sII8xQI", data, 4096) == (b"hbin", 0, 4096, WHEN, 0)


def test_the_root_is_one_of_windows_own() -> None:
    node = written(put("k"))[4096 + 0x20 + 4 :]
    flags, parent = struct.unpack_from("<H", node, 2)[0], struct.unpack_from("<I", node, 16)[0]
    assert (node[:2], flags, parent, node[76:80]) == (b"nk", 0x2C, 0xFFFFFFFF, b"ROOT")


def at(data: bytes, name: bytes) -> bytes:
    """The content of the cell of a key or value, from the one place where its name is."""
    assert data.count(name) == 1
    place = data.index(name)
    return data[place - 76 :]


def test_the_bits_of_layered_keys() -> None:
    data = written(
        DeleteKey(("dead",)),
        put("merged", class_name=None),
        put("node", lower=Lower.NODE_REPLACED),
        put("tree", lower=Lower.TREE_REPLACED),
        put("way", "below"),
    )
    bits = {name: at(data, name)[13] for name in (b"dead", b"merged", b"node", b"tree", b"way", b"below")}
    assert bits == {b"dead": 1, b"merged": 0x80, b"node": 2, b"tree": 3, b"way": 0x80, b"below": 0}


def test_the_tombstone_of_a_value() -> None:
    data = written(DeleteValue((), "Gone"), DeleteValue((), "Вон"))
    for name, flags in ((b"Gone", 3), ("Вон".encode("utf-16-le"), 2)):
        record = data[data.index(name) - 20 :]
        assert struct.unpack_from("<2sHIIIH", record) == (b"vk", len(name), 0, 0xFFFFFFFF, 0, flags)


def test_what_is_on_the_way_is_merged_and_as_new_as_what_is_below() -> None:
    data = written(put("a", "b", "c", written=WHEN + 9), put("a", "x", written=WHEN + 3), DeleteKey(("d",)))
    way = {"class_name": None, "flags": 0x20}
    assert told(data) == [
        put(class_name=None, flags=0x2C, written=WHEN + 9),
        put("a", written=WHEN + 9, **way),
        put("a", "b", written=WHEN + 9, **way),
        put("a", "b", "c", written=WHEN + 9),
        put("a", "x", written=WHEN + 3),
        DeleteKey(("d",)),
    ]


def test_a_key_without_a_descriptor_has_that_of_the_key_above() -> None:
    data = written(put("a", security=OTHER), put("a", "b", security=None), put("c", security=None))
    found = {one.path: one.security for one in told(data) if isinstance(one, PutKey)}
    assert found == {(): PLAIN, ("a",): OTHER, ("a", "b"): OTHER, ("c",): PLAIN}


def test_descriptors_are_shared() -> None:
    data = written(*(put(f"k{n}", security=OTHER if n % 3 else PLAIN) for n in range(30)))
    checker = Checker(data)
    checker.check()
    assert sorted(checker.users.values()) == [11, 20]


@pytest.mark.parametrize("size", [0, 1, 4, 5, 16_344, 16_345, 32_688, 32_689, 1_000_000])
def test_data_of_all_sizes(size: int) -> None:
    data = random.Random(size).randbytes(size)
    delta = written(SetValue(("k",), "v", REG_BINARY, data))
    assert told(delta)[-1] == SetValue(("k",), "v", REG_BINARY, data)
    assert RegistryHive(io.BytesIO(delta)).open("k").value("v").data == data
    assert delta.count(b"db") >= (size > 16_344)


def test_many_subkeys_are_sorted_below_a_list_of_lists() -> None:
    names = [f"{'kK'[n % 2]}{n:05}" for n in range(3000)]
    data = written(*(put(name) for name in reversed(names)))
    assert b"ri" in data
    assert list(read(data).children) == [upper(name) for name in sorted(names, key=upper)]


def test_long_names() -> None:
    name = "日" * 256
    data = written(put(name), SetValue((name,), "ж" * 16_383, REG_SZ, b""))
    assert told(data)[-1] == SetValue((name,), "ж" * 16_383, REG_SZ, b"")


def test_nothing_is_a_delta_as_well() -> None:
    assert told(written()) == [put(class_name=None, flags=0x2C, written=0)]


def test_hivex_reads_the_same(tmp_path: Path) -> None:
    """A third reader. To it a key that is deleted is one; values that are it cannot read."""
    (tmp_path / "delta").write_bytes(
        written(*(one for one in ALL_KINDS if not isinstance(one, DeleteValue)), put("c", class_name="Класс"))
    )
    xml = subprocess.run(["hivexml", tmp_path / "delta"], capture_output=True, text=True, check=True).stdout
    for name in ("dead", "merged", "node", "tree", "ünter", "日本"):
        assert f'<node name="{name}">' in xml
    assert '<value type="string" key="v" value="x">' in xml
    assert '<value type="int32" default="1" value="1">' in xml


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([put("a"), put("A")], 'key "A": it is put twice'),
        ([DeleteKey(())], "the root key: it is deleted and cannot be changed as well"),
        (
            [put("a", "b"), DeleteKey(("a",))],
            'key "a": it is deleted and cannot be changed as well',
        ),
        ([SetValue((), "v", 1, b""), DeleteValue((), "V")], 'the root key: value "V" is changed twice'),
        ([put("x" * 257)], f'key "{"x" * 200}…": the name of a key is longer than 256 characters'),
        ([put("a\\b")], 'key "a\\b": the name of a key contains a backslash'),
        ([put("a", "")], 'key "a\\": a key without a name'),
        (
            [SetValue(("k",), "n" * 16_384, 1, b"")],
            'key "k": the name of a value is longer than 16383 characters',
        ),
        (
            [SetValue(("k",), "v", 3, bytes((16 << 20) + 1))],
            'key "k": value "v" of 16777217 bytes is too large',
        ),
        ([put("k", class_name="c" * 32_768)], 'key "k": its class is too long'),
        ([put("k", security=b"no")], 'key "k": its security descriptor is not valid: 2 bytes are too few'),
    ],
)
def test_what_no_delta_can_hold(operations: list[Operation], message: str) -> None:
    with pytest.raises(Malformed) as caught:
        write_delta(operations, upper, PLAIN)
    assert str(caught.value) == message


def test_keys_lie_no_deeper_than_windows_has_them() -> None:
    deep = put(*(["k"] * 511))
    assert told(write_delta([deep], upper, PLAIN))[-1] == deep
    with pytest.raises(Malformed, match=r"^key .*: keys lie more than 512 levels deep$"):
        write_delta([put(*(["k"] * 512))], upper, PLAIN)
