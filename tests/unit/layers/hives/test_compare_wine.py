"""Two registries of Wine, the delta that tells them apart, and that delta on the older one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.layers.errors import Malformed
from linwin.layers.hives import (
    InMemory,
    Operation,
    Protection,
    PutKey,
    WineFile,
    WineHive,
    apply,
    compare,
    read_delta,
    wine_key,
)
from linwin.layers.hives.noise import Noise
from linwin.layers.hives.operations import DeleteKey, DeleteValue, SetValue
from tests.unit.layers.hives import wine_reader
from tests.unit.layers.hives.hive_writer import (
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
from tests.unit.layers.hives.test_compare import SILENCE, SLOW, delta_of, seen
from tests.unit.layers.hives.test_wine import CURRENT, HEAD, to_link


def wine(data: bytes | str) -> WineFile:
    return WineFile(InMemory(data.encode() if isinstance(data, str) else data), upper, ("Machine",))


def wine_differences(
    old: bytes | str, new: bytes | str, root: tuple[str, ...] = ("Software",), noise: Noise = SILENCE
) -> list[Operation]:
    return list(compare(wine_key(wine(old), root), wine_key(wine(new), root), upper, noise))


def changed(data: bytes, delta: bytes) -> bytes:
    file = wine(data)
    apply(read_delta(Memory(delta), upper), WineHive(file, ("Software",)), Protection((), upper))
    return b"".join(file.pieces())


def shown(data: bytes) -> object:
    tree = wine_reader.read(data)
    return seen(tree["Software"]) if "Software" in tree else None


@settings(SLOW, max_examples=30)
@given(st.lists(keys(layered=True), min_size=2, max_size=4), st.integers(1, 3))
def test_any_two_registries_of_wine(deltas: list[Key], at: int) -> None:
    data = b'WINE REGISTRY Version 2\n\n[Other\\\\key] 1\n"v"="x"\n\n[Software] 1\n\n'
    states = [data]
    for delta in deltas:
        states.append(changed(states[-1], HiveWriter(layered=True).write(delta)))
    old, new = states[min(at, len(states) - 2)], states[-1]
    operations = wine_differences(old, new)
    assert shown(changed(old, delta_of(operations))) == shown(new)
    assert bool(operations) == (shown(old) != shown(new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"a"="x"', '"A"="x"'),
        ('"a"=dword:0000000a', '"a"=dword:a'),
        ('"a"=hex:01,\\\n  02', '"a"=hex:01,02'),
        ('"a"="\\x00e4"', '"a"="ä"'),
        ('"a"="1"\n"b"="2"', '"b"="2"\n"a"="1"'),
        ('"a"="x"', '#time=5\n"a"="x"'),
        ('"a"="old"\n"a"="x"', '"a"="x"'),
        ('"a"=hex(1):78,00,00,00', '"a"="x"'),
        ('#class=""\n"a"="x"', '"a"="x"'),
    ],
)
def test_what_only_looks_different(old: str, new: str) -> None:
    key = "[Software\\\\K] {}\n{}\n\n[Software\\\\K\\\\L] 5\n\n"
    assert wine_differences(HEAD + key.format(1, old), HEAD + key.format(2, new)) == []


def test_types_of_values_in_wines_text() -> None:
    lines = [
        ('@=""', "", REG_SZ, b"\0\0"),
        ('"bin"=hex:', "bin", REG_BINARY, b""),
        ('"e\\"\\\\"=str(2):"%A%"', 'e"\\', 2, text("%A%")),
        ('"multi"=str(7):"a\\0b\\0"', "multi", 7, text("a\0b\0")),
        ('"none"=hex(0):', "none", 0, b""),
        ('"odd"=hex(ffff1003):0a', "odd", 0xFFFF1003, b"\n"),
        ('"q"=hex(b):01,00,00,00,00,00,00,00', "q", 11, bytes([1, *[0] * 7])),
        ('"w"=dword:00000102', "w", REG_DWORD, b"\2\1\0\0"),
    ]
    new = HEAD + "[Software\\\\K] 1\n" + "\n".join(line for line, *_ in lines) + "\n\n"
    found = wine_differences(HEAD + "[Software\\\\K] 1\n\n", new)
    assert found[2:] == [SetValue(("K",), name, type, data) for _, name, type, data in lines]


def test_when_a_key_of_wine_was_written() -> None:
    new = HEAD + "[Software\\\\A] 1555526400\n#time=1d4f54cf65a0001\n\n[Software\\\\B] 1555526400\n\n"
    found = {one.path: one.written for one in wine_differences(HEAD, new) if isinstance(one, PutKey)}
    assert found == {(): 0, ("A",): WHEN + 1, ("B",): WHEN}


def test_a_delta_never_speaks_of_the_current_control_set() -> None:
    """Neither when a program used that name, nor when a file has something below the link."""
    service = '[System\\\\{}\\\\Services\\\\S] 1\n@="v"\n\n'
    old = HEAD + "[System\\\\ControlSet001\\\\Control] 1\n\n" + CURRENT
    hostile = old + service.format("ControlSet001") + service.format("CurrentControlSet")
    paths = [one.path for one in wine_differences(old, hostile, ("System",))]
    assert paths == [
        (),
        ("ControlSet001",),
        ("ControlSet001", "Services"),
        *[("ControlSet001", "Services", "S")] * 2,
    ]


def test_links_of_wine_come_and_go() -> None:
    plain = HEAD + '[Software\\\\K] 1\n@="v"\n\n[Software\\\\K\\\\L] 1\n\n'
    link = HEAD + "[Software\\\\K] 1\n" + to_link("\\Registry\\Machine\\Software\\T") + "\n"
    for old, new in ((plain, link), (link, plain), (HEAD + "[Software\\\\X] 1\n\n", link)):
        again = changed(old.encode(), delta_of(wine_differences(old, new)))
        assert wine_differences(again, new) == []


def test_a_part_that_is_gone_is_emptied() -> None:
    old = HEAD + '[Software] 1\n"v"="x"\n\n[Software\\\\K] 1\n\n'
    operations = wine_differences(old, HEAD)
    assert operations[1:] == [DeleteValue((), "v"), DeleteKey(("K",))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"v"=whatever', "it has a value that is not written as Wine writes values"),
        ('"v"="x" y', "it has a value that is not written as Wine writes values"),
        ('"v"=hex:0g', "it has binary data that is none"),
        ('"v"=dword:123456789', "it has a value that is not written as Wine writes values"),
    ],
)
def test_what_wine_does_not_write(line: str, message: str) -> None:
    with pytest.raises(Malformed) as caught:
        wine_differences(HEAD, HEAD + f"[Software\\\\K] 1\n{line}\n\n")
    assert str(caught.value) == f'key "K": {message}'
