"""What a guest writes by itself: the list that users are shown, and what it covers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linwin.layers.hives import noise_of
from linwin.layers.hives.noise import WINDOWS, WINE, OwnWrites
from tests.unit.layers.hives.hive_writer import upper

PAGE = Path(__file__).parents[4] / "docs/registry.md"


def listed(table: dict[str, OwnWrites]) -> list[str]:
    """The lines that the page should have."""
    lines = []
    for hive, own in table.items():
        lines += [f"- `{named(hive, key)}` and all below it" for key in own.keys]
        for key, names in own.values:
            lines.append(f"- `{named(hive, key)}`: the values {', '.join(f'`{name}`' for name in names)}")
        lines += [f"- `{named(hive, key)}`, while it is empty" for key in own.empty_keys]
    return lines


def named(hive: str, key: tuple[str, ...]) -> str:
    return "\\".join((hive, *key))


def test_the_page_lists_what_the_guest_writes() -> None:
    _, _, section = PAGE.read_text().partition("### What the guest writes itself")
    lines = re.findall(r"^- .*$", section, re.MULTILINE)
    assert lines == listed(WINE) + listed(WINDOWS)


CONTROL = ("ControlSet001", "Control")


@pytest.mark.parametrize(
    ("hive", "kind", "path", "expected"),
    [
        ("System", "wine", ("controlset001", "ENUM", "Pci"), True),
        ("System", "wine", ("ControlSet001", "Enum"), False),
        ("System", "wine", (*CONTROL, "TimeZoneInformation"), True),
        ("System", "wine", ("ControlSet001", "Services", "viostor"), False),
        ("System", "windows", ("ControlSet001", "Services", "viostor"), True),
        ("System", "windows", ("ControlSet002", "Services", "viostor"), True),
        ("System", "windows", ("Select",), True),
        ("Software", "wine", ("Wine", "Drives"), True),
        ("Software", "wine", ("Wine",), False),
        ("Software", "wine", ("linwin", "CurrentUser"), True),
        ("Software", "windows", ("Wine", "Drives"), False),
        ("User", "wine", ("Volatile Environment",), True),
        ("User", "wine", ("Environment",), False),
        ("User", "wine", ("Software", "Wine", "DllOverrides"), False),
        ("Sam", "wine", ("Volatile Environment",), False),
    ],
)
def test_keys(hive: str, kind: str, path: tuple[str, ...], expected: bool) -> None:
    assert noise_of(hive, kind, upper).has_key(path) is expected


def test_values() -> None:
    noise = noise_of("System", "wine", upper)
    environment = (*CONTROL, "Session Manager", "Environment")
    assert noise.has_value(environment, "Number_Of_Processors")
    assert not noise.has_value(environment, "PATH")
    assert not noise.has_value(CONTROL, "NUMBER_OF_PROCESSORS")
