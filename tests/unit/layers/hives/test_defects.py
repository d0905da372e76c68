"""Hives that are wrong: each is refused in words that name the key."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.hives import read_delta
from linwin.layers.hives.regf import DEEPEST
from tests.unit.layers.hives.hive_checker import Checker
from tests.unit.layers.hives.hive_writer import (
    REG_BINARY,
    REG_SZ,
    TOMBSTONE,
    Deleted,
    HiveWriter,
    Key,
    seal,
    text,
    upper,
)
from tests.unit.layers.hives.memory import Memory

TREE = Key(
    "ROOT",
    {"v": (REG_SZ, text("x" * 40))},
    [Key("a", {"big": (REG_BINARY, bytes(20_000))}, [Key("deep")], class_name="class"), Key("b")],
)


def hive(root: Key = TREE, *, layered: bool = True) -> bytearray:
    return bytearray(HiveWriter(layered=layered).write(root))


def record(data: bytearray, signature: bytes, number: int = 0) -> int:
    """The position in the file of a record's content."""
    checker = Checker(bytes(data))
    checker.scan()
    found = [at for at in sorted(checker.cells) if checker.content(at).startswith(signature)]
    return 4096 + 4 + found[number]


def key(data: bytearray, name: bytes) -> int:
    for number in range(10):
        at = record(data, b"nk", number)
        if data[at + 76 : at + 76 + len(name)] == name:
            return at
    raise AssertionError


def words(data: bytearray, at: int, *values: int) -> None:
    struct.pack_into(f"<{len(values)}I", data, at, *values)


def refusal(data: bytes) -> str:
    with pytest.raises(Malformed) as caught:
        list(read_delta(Memory(seal(bytes(data))), upper))
    return str(caught.value)


def offset(at: int) -> int:
    return at - 4 - 4096


HEADERS: list[tuple[Callable[[bytearray], None], str]] = [
    (lambda d: d.__setitem__(slice(0, 4), b"fger"), "it is not a registry hive"),
    (lambda d: words(d, 20, 2), "its version 2.5, type 0, format 1 is not known"),
    (lambda d: words(d, 24, 7), "its version 1.7, type 0, format 1 is not known"),
    (lambda d: words(d, 28, 1), "its version 1.5, type 1, format 1 is not known"),
    (lambda d: words(d, 4, 8), "it was not written to its end: its sequence numbers differ"),
    (lambda d: words(d, 40, 4097), "its header claims 4097 bytes of data, which its file cannot have"),
    (lambda d: words(d, 40, 1 << 20), "its header claims 1048576 bytes of data, which its file cannot have"),
    (lambda d: words(d, 36, 0xFFFFFFF8), "in the root key: the offset 0xfffffff8 is not within the hive"),
    (lambda d: words(d, 36, 36), "in the root key: the offset 0x24 is not within the hive"),
    (lambda d: words(d, 36, 40), "in the root key: no cell begins at 0x28"),
    (lambda d: words(d, 4096, 0), "there is no hive bin at 0x0"),
    (lambda d: words(d, 4096 + 4, 4096), "there is no hive bin at 0x0"),
    (lambda d: words(d, 4096 + 8, 5000), "the hive bin at 0x0 has a size of 5000"),
    (lambda d: words(d, 4096 + 32, 0), "the cell at 0x20 has a size of 0"),
    (lambda d: words(d, 4096 + 32, 12), "the cell at 0x20 has a size of 12"),
    (lambda d: words(d, 4096 + 32, 1 << 20), "the cell at 0x20 has a size of 1048576"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), HEADERS)
def test_headers_and_bins(damage: Callable[[bytearray], None], message: str) -> None:
    data = hive()
    damage(data)
    assert refusal(data) == message


def test_checksum() -> None:
    data = hive()
    data[48] ^= 1
    with pytest.raises(Malformed, match=r"^the checksum of its header is wrong$"):
        list(read_delta(Memory(bytes(data)), upper))


def test_a_file_that_is_too_short() -> None:
    with pytest.raises(Malformed, match=r"^100 bytes are too few for a registry hive$"):
        list(read_delta(Memory(bytes(100)), upper))


def test_a_key_in_a_free_cell() -> None:
    data = hive()
    at = key(data, b"b")
    words(data, at - 4, -struct.unpack_from("<i", data, at - 4)[0])
    assert refusal(data) == f"in the root key: the cell at {offset(at):#x} is used but marked as free"


KEYS: list[tuple[bytes, int, bytes, str]] = [
    (b"b", 0, b"kn", "in the root key: there is no key where one should be"),
    (b"b", 72, b"\xff\xff", "in the root key: the name of a key is longer than its cell"),
    (b"b", 72, b"\0\0", "in the root key: a key without a name"),
    (b"b", 76, b"\\", "in the root key: the name of a key contains a backslash"),
    (b"b", 2, b"\x24\0", "in the root key: its root is not where its header says"),
    (b"b", 2, b"\x21\0", 'key "b": it is volatile, which no key in a file is'),
    (b"deep", 20, b"\1", 'key "a\\deep": the offset 0xffffffff is not within the hive'),
    (b"a", 20, b"\2", 'key "a": it has 2 subkeys but lists another number'),
    (b"a", 36, b"\xff\xff\xff\xff", 'key "a": it claims to have 4294967295 values'),
    (b"a", 36, b"\x20", 'key "a": the list of its 32 values does not fit its cell'),
    (b"deep", 36, b"\1", 'key "a\\deep": the offset 0xffffffff is not within the hive'),
    (b"a", 44, b"\x20\0\0\0", 'key "a": there is no security descriptor where one should be'),
    (b"a", 74, b"\x80", 'key "a": the cell at'),
    (b"a", 74, b"\xff\xff", 'key "a": its class is too long'),
    (b"a", 74, b"\7", 'key "a": a name ends in the middle of a character'),
    (b"deep", 13, b"\2", ""),
]


@pytest.mark.parametrize(("name", "position", "value", "message"), KEYS)
def test_keys(name: bytes, position: int, value: bytes, message: str) -> None:
    data = hive()
    at = key(data, name) + position
    data[at : at + len(value)] = value
    if message:
        assert refusal(data).startswith(message)
    else:
        assert list(read_delta(Memory(bytes(data)), upper))


RECORDS: list[tuple[bytes, int, bytes, str]] = [
    (b"lh", 0, b"xx", "the root key: there is no list of subkeys where one should be"),
    (b"lh", 2, b"\0\0", "the root key: a list of 0 subkeys does not fit its cell"),
    (b"lh", 2, b"\xff\xff", "the root key: a list of 65535 subkeys does not fit its cell"),
    (b"vk", 0, b"xx", "the root key: there is no value where one should be"),
    (b"vk", 2, b"\xff\xff", "the root key: the name of a value is longer than its cell"),
    (b"vk", 4, b"\x05\0\0\x80", "the root key: a value claims to hold more than four bytes in itself"),
    (b"vk", 4, b"\0\1\0\0", "the root key: the cell at"),
    (b"vk", 4, b"\1\0\0\1", 'the root key: value "v" of 16777217 bytes is too large'),
    (b"vk", 4, b"\0\0\1\0", 'the root key: the data of value "v" is not in 5 segments'),
    (b"vk", 16, b"\3\0", 'the root key: value "v" is marked as deleted but has data'),
    (b"db", 2, b"\3\0", 'key "a": the data of value "big" is not in 2 segments'),
    (b"sk", 12, b"\0\0\0\0", "the root key: the record of a security descriptor is not valid"),
    (b"sk", 16, b"\xff\xff\0\0", "the root key: the record of a security descriptor is not valid"),
    (b"sk", 20, b"\2", "the root key: its security descriptor is not valid: its revision is 2"),
]


@pytest.mark.parametrize(("signature", "position", "value", "message"), RECORDS)
def test_records(signature: bytes, position: int, value: bytes, message: str) -> None:
    data = hive()
    number = {b"lh": 1}.get(signature, 0)
    if signature == b"vk" or signature == b"db":
        number = next(n for n in range(9) if value_name(data, n, signature) in (b"v", None))
    at = record(data, signature, number) + position
    data[at : at + len(value)] = value
    assert refusal(data).startswith(message)


def value_name(data: bytearray, number: int, signature: bytes) -> bytes | None:
    if signature != b"vk":
        return None
    at = record(data, signature, number)
    return bytes(data[at + 20 : at + 20 + struct.unpack_from("<H", data, at + 2)[0]])


def test_two_keys_with_one_value_list() -> None:
    data = hive(Key("R", {}, [Key("a", {"x": (1, b"")}), Key("b", {"x": (1, b"")})]))
    shared = data[key(data, b"a") + 40 :][:4]
    at = key(data, b"b")
    data[at + 40 : at + 44] = shared
    where = int.from_bytes(shared, "little")
    assert refusal(data) == f'key "b": the cell at {where:#x} belongs to two others'


def test_a_key_below_itself() -> None:
    data = hive()
    top = struct.unpack_from("<I", data, 36)[0]
    leaf = 4096 + 4 + struct.unpack_from("<I", data, key(data, b"a") + 28)[0]
    words(data, leaf + 4, top)
    assert refusal(data) == f'in key "a": the cell at {top:#x} belongs to two others'


def test_a_list_of_lists_in_another() -> None:
    data = bytearray(HiveWriter(per_leaf=1).write(Key("R", {}, [Key("a", {}, [Key("b")])])))
    inner, outer = record(data, b"ri", 0), record(data, b"ri", 1)
    words(data, outer + 4, offset(inner))
    words(data, inner + 4, offset(outer))
    assert refusal(data) == "the root key: a list of lists of subkeys lies in another"


def test_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DEEPEST == 512
    monkeypatch.setattr("linwin.layers.hives.delta.DEEPEST", 2)
    deep = Key("R", {}, [Key("a", {}, [Key("b", {}, [Key("c")])])])
    assert refusal(hive(deep)) == 'in key "a\\b": keys lie more than 2 levels deep'


def test_names_that_are_too_long() -> None:
    assert (
        refusal(hive(Key("R", {}, [Key("n" * 257)])))
        == "in the root key: the name of a key is longer than 256 characters"
    )
    assert (
        refusal(hive(Key("R", {"n" * 16_384: (1, b"")})))
        == "the root key: the name of a value is longer than 16383 characters"
    )


def test_tombstones() -> None:
    below = hive(Key("R", {}, [Key("a", {}, [Key("b")], semantics=TOMBSTONE)]))
    assert refusal(below) == 'key "a": it is marked as deleted but has something in it'
    assert refusal(hive(Key("R", semantics=TOMBSTONE))) == "the root key: the root cannot be deleted"
    assert [
        type(one).__name__ for one in read_delta(Memory(bytes(hive(Key("R", {"v": Deleted})))), upper)
    ] == [
        "PutKey",
        "DeleteValue",
    ]
