"""Wine's registry files: what a delta changes of them, line by line."""

from __future__ import annotations

import pytest

from linwin.layers.errors import Malformed
from linwin.layers.hives import WINE_LINKS, Protection, WineFile, WineHive, apply, read_delta
from linwin.layers.hives.wine_key import KeyText
from linwin.layers.hives.wine_text import escape, unescape, value_data
from tests.unit.layers.hives.hive_writer import (
    LINK,
    REG_BINARY,
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_LINK,
    REG_MULTI_SZ,
    REG_NONE,
    REG_QWORD,
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

HEAD = "WINE REGISTRY Version 2\n;; All keys relative to REGISTRY\\\\Machine\n\n#arch=win64\n\n"
STAMP = "1555526400\n#time=1d4f54cf65a0000\n"
"""How a key looks that was written at WHEN."""


def to_link(target: str) -> str:
    return '#link\n"SymbolicLinkValue"=hex(6):' + target.encode("utf-16-le").hex(",") + "\n"


def changed(body: str, root: Key, below: tuple[str, ...] = ("Software",)) -> str:
    """What stands behind the head once a delta was applied."""
    file = WineFile(Memory((HEAD + body).encode()), upper, ("Machine",))
    links = Protection(WINE_LINKS.get(below[0], ()), upper, may_change=True)
    layer = HiveWriter(layered=True).write(root)
    apply(read_delta(Memory(layer), upper), WineHive(file, below), links)
    result = b"".join(file.pieces()).decode("ascii")
    assert result.startswith(HEAD)
    return result.removeprefix(HEAD)


def delta(*keys: Key) -> Key:
    return Key("D", {}, list(keys))


VENDOR = '[Software\\\\Vendor] 1\n#time=1\n"Version"="1"\n"Path"="C:\\\\x"\n\n'
BELOW = '[Software\\\\Vendor\\\\Lower] 1\n#time=1\n@="v"\n\n'


def test_what_is_not_touched_stays_byte_for_byte() -> None:
    body = '[A\\\\b]   77 junk\n#time=zz\n"odd"  =  "x"\nwhat is this\n; a comment\n\n\n' + VENDOR
    assert changed(body, delta(Key("New"))) == f"{body}[Software\\\\New] {STAMP}\n"


def test_values_are_matched_in_any_case_and_keep_their_spelling() -> None:
    layer = delta(Key("VENDOR", {"version": (REG_SZ, text("2")), "New": (REG_DWORD, b"\x2a\0\0\0")}))
    assert changed(VENDOR, layer) == (
        f'[Software\\\\Vendor] {STAMP}"Version"="2"\n"Path"="C:\\\\x"\n"New"=dword:0000002a\n\n'
    )


def test_lines_that_are_not_understood_stay_in_a_key_that_changes() -> None:
    body = '[Software\\\\K] 1\n#time=1\n#future=x\n"a"="1"\n; note\n"b"=hex:01,\\\n  02\n\n'
    layer = delta(Key("K", {"b": (REG_BINARY, b"\3"), "a": Deleted}))
    assert changed(body, layer) == f'[Software\\\\K] {STAMP}; note\n"b"=hex:03\n\n'.replace(
        STAMP, "1555526400\n#future=x\n#time=1d4f54cf65a0000\n"
    )


@pytest.mark.parametrize(
    ("semantics", "expected"),
    [
        (SUPERSEDE_NODE, f'[Software\\\\Vendor] {STAMP}"n"="1"\n\n{BELOW}'),
        (SUPERSEDE_TREE, f'[Software\\\\Vendor] {STAMP}"n"="1"\n\n'),
        (TOMBSTONE, "[Software] 0\n\n"),
    ],
)
def test_superseding_and_deleting(semantics: int, expected: str) -> None:
    values = {} if semantics == TOMBSTONE else {"n": (REG_SZ, text("1"))}
    assert changed(VENDOR + BELOW, delta(Key("Vendor", values, semantics=semantics))) == expected


def test_a_key_above_stays_when_the_last_below_it_goes() -> None:
    """Wine does not mention keys that only have subkeys."""
    body = "[Software\\\\A\\\\B] 1\n\n" + VENDOR
    layer = delta(Key("A", {}, [Key("B", semantics=TOMBSTONE)]))
    assert changed(body, layer) == f"{VENDOR}[Software\\\\A] 0\n\n"


def test_a_key_that_only_leads_to_others_is_not_mentioned() -> None:
    layer = delta(Key("Vendor", {}, [Key("Lower", {"v": (REG_DWORD, bytes(4))})], inherits_class=True))
    assert changed(BELOW, layer) == f'[Software\\\\Vendor\\\\Lower] {STAMP}@="v"\n"v"=dword:00000000\n\n'


def test_classes() -> None:
    body = '[Software\\\\K] 1\n#class="old"\n"v"="1"\n\n'
    given = delta(Key("K", class_name='ne"w'))
    assert '#class="ne\\"w"\n' in changed(body, given)
    assert '#class="old"\n' in changed(body, delta(Key("K", inherits_class=True)))
    assert "#class" not in changed(body, delta(Key("K")))


CURRENT = "[System\\\\CurrentControlSet] 1\n" + to_link("\\Registry\\Machine\\System\\ControlSet001") + "\n"
SET = "[System\\\\ControlSet001\\\\Control] 1\n\n"


def test_the_current_control_set_leads_to_the_first() -> None:
    layer = delta(Key("CurrentControlSet", {}, [Key("Control", {}, [Key("X")])]))
    for body in (CURRENT + SET, SET + CURRENT):
        result = changed(body, layer, ("System",))
        assert f"[System\\\\ControlSet001\\\\Control\\\\X] {STAMP}" in result
        assert "CurrentControlSet\\\\Control" not in result
        assert CURRENT in result


def test_the_link_to_the_control_set_stays() -> None:
    for layer in (delta(Key("CurrentControlSet", semantics=TOMBSTONE)), Key("D", semantics=SUPERSEDE_TREE)):
        assert CURRENT in changed(CURRENT + SET, layer, ("System",))


def test_links_of_a_delta_are_links_for_the_keys_after_them() -> None:
    target = "\\REGISTRY\\MACHINE\\Software\\Vendor"
    link = Key("Alias", {"SymbolicLinkValue": (REG_LINK, target.encode("utf-16-le"))}, flags=LINK)
    result = changed(VENDOR, delta(link, Key("Vendor", {"x": (REG_SZ, text("1"))})))
    assert (
        '[Software\\\\Alias] 1555526400\n#link\n#time=1d4f54cf65a0000\n"SymbolicLinkValue"=hex(6):' in result
    )
    again = changed(result, delta(Key("Alias", {"y": (REG_SZ, text("2"))})))
    assert '"x"="1"\n"y"="2"\n' in again


def test_links_out_of_the_file_are_not_followed() -> None:
    body = "[Software\\\\Out] 1\n" + to_link("\\Registry\\User\\.Default") + "\n"
    assert f"[Software\\\\Out\\\\X] {STAMP}" in changed(body, delta(Key("Out", {}, [Key("X")])))


def test_links_in_a_circle() -> None:
    start = "\\Registry\\Machine\\Software\\"
    body = f"[Software\\\\a] 1\n{to_link(start + 'b')}\n[Software\\\\b] 1\n{to_link(start + 'a')}\n"
    with pytest.raises(Malformed, match=r'^key "a": its links lead in a circle$'):
        changed(body, delta(Key("a", {"v": (REG_SZ, text("x"))})))


@pytest.mark.parametrize(
    ("type", "data", "expected"),
    [
        (REG_SZ, text(""), '""'),
        (REG_SZ, text('say "ü" \\ \n\x01'), '"say \\"\\x00fc\\" \\\\ \\n\\001"'),
        (REG_SZ, b"a\0", "hex(1):61,00"),
        (REG_SZ, b"odd", "hex(1):6f,64,64"),
        (REG_SZ, b"", "hex(1):"),
        (REG_EXPAND_SZ, text("%PATH%"), 'str(2):"%PATH%"'),
        (REG_MULTI_SZ, text("a\0007\0"), 'str(7):"a\\0007\\000"'),
        (REG_DWORD, b"\x78\x56\x34\x12", "dword:12345678"),
        (REG_DWORD, b"\1\2", "hex(4):01,02"),
        (REG_QWORD, bytes(8), "hex(b):00,00,00,00,00,00,00,00"),
        (REG_NONE, b"\xff", "hex(0):ff"),
        (REG_BINARY, b"\xab" * 25, "hex:" + ",".join(["ab"] * 24) + ",\\\n  ab"),
        (0x12345, b"\1", "hex(12345):01"),
    ],
)
def test_values(type: int, data: bytes, expected: str) -> None:
    assert value_data(type, data) == expected


@pytest.mark.parametrize("name", ["", "plain", "ü日🗝\ud800", 'q"[]\\', "\0\x1b\x07\x7f", "\0001", "ü9a"])
def test_strings_come_back(name: str) -> None:
    assert unescape(escape(name, '"').encode("ascii")) == name


def test_strings_that_wine_writes() -> None:
    assert unescape(rb"\xe9t\xe9 \x1f5d\a\0") == "été \u1f5d\x07\0"
    assert unescape("é".encode()) == "é"


def test_what_is_no_registry_file() -> None:
    with pytest.raises(Malformed, match=r"^it is not a registry file of Wine$"):
        WineFile(Memory(b"REGEDIT4\n\n[x]\n"), upper, ("Machine",))


def test_files_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.layers.hives.wine_file.LARGEST_FILE", 1 << 20)
    with pytest.raises(Malformed, match=r"^a registry file of Wine of 2000000 bytes is too large$"):
        WineFile(Memory(bytes(2_000_000)), upper, ("Machine",))
    grown = delta(Key("K", {f"v{n}": (REG_BINARY, bytes(10_000)) for n in range(60)}))
    with pytest.raises(Malformed, match=r'^key "K": the registry of Wine would become larger than 1 MiB$'):
        changed(VENDOR, grown)
    monkeypatch.setattr("linwin.layers.hives.wine_file.MOST_KEYS", 3)
    with pytest.raises(Malformed, match=r"^the registry would have more than 3 keys$"):
        changed("[a\\\\b\\\\c\\\\d] 1\n", delta())


def test_times() -> None:
    assert WHEN // 10_000_000 - 11_644_473_600 == 1_555_526_400


def test_a_key_that_is_mentioned_often_is_read_once(monkeypatch) -> None:
    """Searching all that is said of a key at each mention would take a file of 32 MiB hours."""
    searched = []
    target = KeyText.link_target
    monkeypatch.setattr(KeyText, "link_target", lambda key: searched.append(key) or target(key))
    mentions = "".join(f'[A] 1\n"{number}"="x"\n' for number in range(1000))
    result = changed(mentions + "[A] 1\n" + to_link("\\Registry\\Machine\\B"), delta(Key("New")), ("A",))
    assert len(searched) <= 2
    assert "[B\\\\New]" in result
    assert all(f'"{number}"="x"' in result for number in range(1000))
