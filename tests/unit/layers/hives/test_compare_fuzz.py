"""Whatever became of a hive or a registry file: the difference is told, or refused as malformed, and soon."""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linwin.layers.errors import Malformed
from linwin.layers.hives import InMemory, WineFile, compare, hive_keys, wine_key, write_delta
from linwin.layers.hives.noise import Noise, OwnWrites
from tests.unit.layers.hives.hive_writer import PLAIN, REG_SZ, HiveWriter, seal, text, upper
from tests.unit.layers.hives.test_compare import LARGE, SILENCE, differences_without_pages
from tests.unit.layers.hives.test_fuzz import BASE, VENDOR, WORDS, some_keys
from tests.unit.layers.hives.test_wine import CURRENT, HEAD

BOUNDED = settings(
    max_examples=200, deadline=timedelta(seconds=5), suppress_health_check=[HealthCheck.too_slow]
)
OTHER_BASE = HiveWriter(per_leaf=2).write(some_keys(layered=False))


def try_to_tell(old: bytes, new: bytes) -> None:
    """What is told must be what a delta can hold, but for what only a delta is refused for."""
    with suppress(Malformed):
        write_delta(list(compare(*hive_keys(old, new, upper), upper, SILENCE)), upper, PLAIN)


@st.composite
def damaged(draw: st.DrawFn, hive: bytes) -> bytes:
    """A hive in which some words were overwritten, and whose checksum is right."""
    data = bytearray(hive)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(4096 // 4, len(hive) // 4 - 1)) * 4
        struct.pack_into("<I", data, at, draw(WORDS))
    return seal(bytes(data))


@BOUNDED
@given(damaged(BASE))
def test_a_new_hive_that_is_damaged(hive: bytes) -> None:
    try_to_tell(BASE, hive)
    try_to_tell(OTHER_BASE, hive)


@BOUNDED
@given(damaged(BASE))
def test_an_old_hive_that_is_damaged(hive: bytes) -> None:
    try_to_tell(hive, BASE)
    try_to_tell(hive, OTHER_BASE)


@BOUNDED
@given(damaged(BASE), damaged(BASE))
def test_two_hives_that_are_damaged(old: bytes, new: bytes) -> None:
    try_to_tell(old, new)


@pytest.mark.parametrize("seed", range(40))
def test_damage_on_one_page_of_many_is_no_other_difference(seed: int) -> None:
    """What is told of a damaged hive by its pages is what a look at all of it tells, or it is refused."""
    chance = random.Random(seed)
    hive = bytearray(LARGE)
    for _ in range(3):
        at = 4096 + chance.randrange((len(hive) - 4096) // 4) * 4
        hive[at + chance.randrange(4)] ^= 1 << chance.randrange(8)
    with suppress(Malformed):
        told = list(compare(*hive_keys(LARGE, bytes(hive), upper), upper, SILENCE))
        assert told == differences_without_pages(LARGE, bytes(hive))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4100, 8191, 8192])
def test_a_hive_that_was_cut_off(size: int) -> None:
    for old, new in ((BASE, BASE[:size]), (BASE[:size], BASE)):
        if len(BASE[:size]) == len(BASE):
            continue
        with pytest.raises(Malformed):
            list(compare(*hive_keys(old, new, upper), upper, SILENCE))


TEXT = HEAD + VENDOR + CURRENT + '[Software\\\\K] 1\n#class="c"\n"b"=hex:01,\\\n  02\n"s"=str(7):"a\\0"\n\n'
SNIPPETS = st.sampled_from(
    ["[", "]", '"', "=", "\\", "\\x", "\\0", "\n", "#link\n", "hex(", "dword:", "str(2):", "ä", "\0", "\r"]
)


@BOUNDED
@given(st.lists(st.tuples(st.integers(0, len(TEXT)), SNIPPETS), min_size=1, max_size=4), st.booleans())
def test_a_registry_of_wine_that_is_damaged(inserted: list[tuple[int, str]], swapped: bool) -> None:
    damaged = TEXT
    for at, snippet in inserted:
        damaged = damaged[:at] + snippet + damaged[at:]
    texts = (damaged, TEXT) if swapped else (TEXT, damaged)
    with suppress(Malformed):
        for root in ((), ("Software",), ("System",)):
            old, new = (
                wine_key(WineFile(InMemory(one.encode()), upper, ("Machine",)), root) for one in texts
            )
            write_delta(list(compare(old, new, upper, SILENCE)), upper, PLAIN)


def test_many_keys_and_many_values_take_their_time_and_no_more() -> None:
    lines = "".join(f'[Software\\\\k{n}] 1\n"v"="{n}"\n\n' for n in range(8_000))
    values = "[Software\\\\v] 1\n" + "".join(f'"v{n}"="{n}"\n' for n in range(8_000)) + "\n"
    file = WineFile(InMemory((HEAD + lines + values).encode()), upper, ("Machine",))
    operations = list(compare(None, wine_key(file, ("Software",)), upper, Noise(OwnWrites(), upper)))
    assert len(operations) == 24_002
    assert operations[-1].name == "v999"
    assert operations[-1].data == text("999")
    assert operations[-1].type == REG_SZ
