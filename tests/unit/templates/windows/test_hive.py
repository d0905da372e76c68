"""Hives: edits by hivex, read back by dissect.regf."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from dissect.regf import RegistryHive

from linwin.errors import InvalidRequest, Unavailable
from linwin.templates.windows import hive
from tests.unit.templates.windows.media import run
from tests.unit.templates.windows.readers import subkeys, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "SYSTEM"
    made.write_bytes(hive.empty("ROOT"))
    return made


def change(path: Path, at: int, new: bytes) -> None:
    """Replace what is in a file from ``at`` on."""
    path.write_bytes(path.read_bytes()[:at] + new)


def opened(path: Path) -> RegistryHive:
    return RegistryHive(io.BytesIO(path.read_bytes()))


def test_an_empty_hive_is_one_to_others(path: Path) -> None:
    assert opened(path).root().name == "ROOT"
    assert run("hivexsh", path, input=b"ls\nlsval\n") == b""


async def test_values_of_every_type_survive(path: Path) -> None:
    written = {
        "": hive.text("default"),
        "text": hive.text("M\xfcller \U0001f600"),
        "expand": hive.expandable("%SystemRoot%\\a"),
        "many": hive.texts("a", "b"),
        "number": hive.dword(0xFFFFFFFF),
        "bytes": hive.binary(bytes(range(256)) * 30),
        "none": hive.none(),
        'a "quoted" \\ name': hive.dword(1),
    }
    await hive.merge(path, {("A", "B&C {1}"): written})
    assert values(opened(path), "A", "B&C {1}") == {
        "(Default)": "default",
        "text": "M\xfcller \U0001f600",
        "expand": "%SystemRoot%\\a",
        "many": ["a", "b"],
        "number": 0xFFFFFFFF,
        "bytes": bytes(range(256)) * 30,
        "none": b"",
        'a "quoted" \\ name': 1,
    }


async def test_edits_leave_the_rest_and_do_not_tell_case(path: Path) -> None:
    await hive.merge(path, {("Services", "disk"): {"Start": hive.dword(0), "Tag": hive.dword(7)}})
    await hive.merge(path, {("services", "Disk"): {"start": hive.dword(3)}, ("Services", "new"): {}})
    assert subkeys(opened(path), "Services") == {"disk", "new"}
    assert {name.lower(): value for name, value in values(opened(path), "Services", "disk").items()} == {
        "start": 3,
        "tag": 7,
    }
    assert not list(path.parent.glob("*.reg"))


async def test_many_keys(path: Path) -> None:
    await hive.merge(path, {("Keys", f"key{number}"): {"n": hive.dword(number)} for number in range(1500)})
    found = opened(path)
    assert len(subkeys(found, "Keys")) == 1500
    assert values(found, "Keys", "key1234") == {"n": 1234}


async def test_the_current_control_set(path: Path) -> None:
    await hive.merge(path, {("Select",): {"Current": hive.dword(2), "Default": hive.dword(1)}})
    assert await hive.control_set(path) == "ControlSet002"


async def test_a_hive_without_control_sets_is_told(path: Path) -> None:
    selections: tuple[hive.Edits, ...] = ({}, {("Select",): {"Current": hive.text("1")}})
    for edits in selections:
        await hive.merge(path, edits)
        with pytest.raises(InvalidRequest) as caught:
            await hive.control_set(path)
        assert caught.value.message == (
            "the registry hive SYSTEM does not say which of its control sets is current"
        )


async def test_a_hive_that_was_not_closed_is_told(path: Path) -> None:
    change(path, 4, struct.pack("<II", 9, 8))
    with pytest.raises(InvalidRequest) as caught:
        await hive.merge(path, {})
    assert caught.value.message == (
        "the registry hive SYSTEM was not closed: its last changes are in its log alone"
    )
    assert caught.value.hint == "use the image as Microsoft ships it, or one of a Windows that was shut down"


@pytest.mark.parametrize("content", [b"", b"regf", b"MZ" + bytes(4096)])
async def test_what_is_no_hive_is_told(path: Path, content: bytes) -> None:
    change(path, 0, content)
    with pytest.raises(InvalidRequest) as caught:
        await hive.merge(path, {})
    assert caught.value.message == "SYSTEM is not a registry hive"


async def test_a_damaged_hive_is_told(path: Path) -> None:
    change(path, 4096, bytes(4096))
    with pytest.raises(InvalidRequest) as caught:
        await hive.merge(path, {("A",): {}})
    assert caught.value.message.startswith("the registry hive SYSTEM cannot be edited: ")


def test_a_missing_hive_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        hive.check(tmp_path / "SAM")
    assert caught.value.message == "cannot read the registry hive SAM: No such file or directory"


@pytest.mark.parametrize("name", ["", "a\nb", "a]", "[a", "a\\b", "\xfc", "\0"])
def test_a_key_that_cannot_be_spelled_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hive.reg_file({("A", name): {}})
    assert caught.value.message == f"{name!r} cannot be the name of a key or a value here"


def test_of_two_values_for_one_name_the_later_stays() -> None:
    first = {("a",): {"x": hive.dword(1), "y": hive.dword(1)}}
    assert hive.combined(first, {("a",): {"x": hive.dword(2)}}) == {
        ("a",): {"x": hive.dword(2), "y": hive.dword(1)}
    }
    assert hive.below(("r",), first) == {("r", "a"): first[("a",)]}
