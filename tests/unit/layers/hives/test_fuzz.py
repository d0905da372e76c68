"""Whatever a hive or a registry file says: it is applied, or refused as malformed, and soon."""

from __future__ import annotations

import gzip
import json
import struct
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.layers.errors import Malformed
from linwin.layers.hives import Protection, WineFile, WineHive, apply, read_delta
from tests.unit.layers.hives.hive_writer import (
    OTHER,
    REG_BINARY,
    REG_DWORD,
    REG_SZ,
    SUPERSEDE_NODE,
    SUPERSEDE_TREE,
    TOMBSTONE,
    Deleted,
    HiveWriter,
    Key,
    descriptor,
    seal,
    text,
    upper,
)
from tests.unit.layers.hives.memory import Memory, merged
from tests.unit.layers.hives.test_wine import CURRENT, HEAD, VENDOR

CORPUS = Path(__file__).parents[3] / "corpus/hives"
"""What fuzzing found worth keeping: one input for each way to be wrong, gzipped, with what is said of it."""
EXPECTED: dict[str, str] = json.loads((CORPUS / "expected.json").read_text())

BOUNDED = settings(
    max_examples=150, deadline=timedelta(seconds=5), suppress_health_check=[HealthCheck.too_slow]
)


DEEP = Key("deep", {}, [Key("er")])


def some_keys(*, layered: bool) -> Key:
    return Key(
        "ROOT",
        {"v": (REG_SZ, text("x" * 20)), "d": (REG_DWORD, b"1234")},
        [
            Key("a", {"x": (REG_SZ, text("y"))}, [DEEP], class_name="class", security=OTHER),
            Key("b", {"gone": Deleted} if layered else {}),
            Key("c", semantics=SUPERSEDE_TREE if layered else 0),
            Key("ü日", {"": (REG_SZ, text("n"))}, security=OTHER),
        ],
    )  # fmt: skip


DELTA = HiveWriter(layered=True, per_leaf=2).write(some_keys(layered=True))
BASE = HiveWriter().write(some_keys(layered=False))
CHANGES = HiveWriter(layered=True).write(
    Key(
        "D",
        {"v": Deleted, "d": (REG_BINARY, bytes(20_000))},
        [
            Key("a", {"x": (REG_SZ, text("long" * 9))}, [Key("deep", semantics=TOMBSTONE), Key("n")]),
            Key("B", semantics=SUPERSEDE_NODE, class_name="k", security=descriptor(mask=5)),
            Key("c", semantics=TOMBSTONE),
            Key("ü日", semantics=SUPERSEDE_TREE),
        ],
    )
)

WORDS = st.sampled_from([0, 1, 8, 0x20, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFF]) | st.integers(0, 0xFFFFFFFF)


@st.composite
def damaged(draw: st.DrawFn, hive: bytes) -> bytes:
    """A hive in which words were replaced, by others or by each other, and the checksum put right."""
    data = bytearray(hive)
    used = st.integers(1024, 1024 + 300) | st.integers(0, len(data) // 4 - 1)
    for at in draw(st.lists(used, min_size=1, max_size=4)):
        place = 4 * at
        match draw(st.integers(0, 2)):
            case 0:
                data[place + draw(st.integers(0, 3))] ^= 1 << draw(st.integers(0, 7))
            case 1:
                struct.pack_into("<I", data, place, draw(WORDS))
            case _:
                other = 4 * draw(used)
                data[place : place + 4] = data[other : other + 4]
    return seal(bytes(data))


def applied_or_refused(base: bytes, delta: bytes) -> None:
    """Anything but Malformed fails the test."""
    with suppress(Malformed):
        merged(base, delta)


@BOUNDED
@given(damaged(DELTA))
def test_damaged_deltas(delta: bytes) -> None:
    applied_or_refused(BASE, delta)


@BOUNDED
@given(damaged(BASE))
def test_damaged_bases(base: bytes) -> None:
    applied_or_refused(base, CHANGES)


@BOUNDED
@given(
    st.binary(max_size=200)
    | st.builds(lambda tail: BASE[:4096] + tail, st.binary(min_size=4096, max_size=5000))
)
def test_bytes_that_are_no_hive(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(read_delta(Memory(data), upper))


LINES = st.sampled_from(
    [
        *(HEAD + VENDOR + CURRENT).splitlines(),
        *(
            "[a",
            "[]",
            "[\\",
            "[a\\\\\\\\b]",
            '"',
            '"x',
            '"x"=',
            "@",
            "#link",
            '"SymbolicLinkValue"=hex(6):zz',
        ),
        *(
            '"SymbolicLinkValue"="x"',
            "hex:\\",
            "  00,\\",
            "#class=",
            "\\",
            "[a\\\\b] x",
            "\u00e9=",
            "[\u00e9]",
        ),
        *(r'"SymbolicLinkValue"=hex(6):5c,00', r"[\x]", r"[\xd800\777]", "\x0c", "\x85"),
    ]
)


@BOUNDED
@given(st.lists(LINES | st.text(max_size=20), max_size=25), st.sampled_from(["utf-8", "latin-1"]))
def test_registry_files_of_wine(lines: list[str], encoding: str) -> None:
    data = "\n".join(["WINE REGISTRY Version 2", *lines]).encode(encoding, "replace")
    with suppress(Malformed):
        file = WineFile(Memory(data), upper, ("Machine",))
        apply(read_delta(Memory(CHANGES), upper), WineHive(file, ()), Protection((), upper))
        once = b"".join(file.pieces())
        assert b'"x"="' + b"long" * 9 in once
        WineFile(Memory(once), upper, ("Machine",))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_corpus(name: str) -> None:
    data = gzip.decompress((CORPUS / f"{name}.gz").read_bytes())
    base, delta = (BASE, data) if name.endswith(".delta") else (data, CORPUS_CHANGES)
    with pytest.raises(Malformed) as caught:
        merged(base, delta)
    assert str(caught.value) == EXPECTED[name]


CORPUS_CHANGES = HiveWriter(layered=True).write(
    Key(
        "D",
        {"v": Deleted, "big": (REG_BINARY, b"n" * 40_000), "d": (REG_BINARY, b"k" * 10)},
        [
            Key(
                "a",
                {"x": (REG_SZ, text("longer" * 9))},
                [Key("deep", semantics=TOMBSTONE), Key("n", security=descriptor(mask=5))],
            ),
            Key("c", semantics=TOMBSTONE),
            Key("B", semantics=SUPERSEDE_NODE, class_name="k"),
            Key("new", {"p": (REG_SZ, text("p"))}),
            Key("ü日", semantics=SUPERSEDE_TREE),
        ],
    )
)
"""What is done to the bases of the corpus."""


def test_the_corpus_is_complete() -> None:
    assert {path.name.removesuffix(".gz") for path in CORPUS.glob("*.gz")} == set(EXPECTED)
