"""The list of keys that stay, as the product and the document have it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linwin.layers.hives import PROTECTED, Protection
from linwin.layers.hives.operations import Kept
from tests.unit.layers.hives.hive_writer import upper

DOCUMENT = Path(__file__).parents[4] / "docs/registry.md"


def test_the_document_has_the_list() -> None:
    section = DOCUMENT.read_text().partition("## Keys that stay")[2].partition("\n## ")[0]
    items = section.partition("\n- ")[2].partition("\n\n")[0]
    services, *others = items.split("\n- ")
    names = re.findall(r"`([\w-]+)`", services)
    listed = {("ControlSet###", "Services", name) for name in names}
    listed |= {tuple(re.findall(r"`(.+)`", item)[0].split("\\")) for item in others}
    assert listed == set(PROTECTED["System"])
    assert len(PROTECTED["System"]) == len(set(PROTECTED["System"]))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ((), Kept.SOME_SUBKEYS),
        (("ControlSet001",), Kept.SOME_SUBKEYS),
        (("controlset042", "SERVICES"), Kept.SOME_SUBKEYS),
        (("ControlSet001", "Services", "VioStor"), Kept.ALL),
        (("ControlSet001", "Services", "viostor", "Parameters", "PnpInterface"), Kept.ALL),
        (("ControlSet001", "Services", "viostor2"), Kept.NOTHING),
        (("ControlSet001", "Services", "Spooler", "disk"), Kept.NOTHING),
        (("ControlSet1", "Services", "disk"), Kept.NOTHING),
        (("ControlSet001", "Control", "Session Manager", "Environment"), Kept.NOTHING),
        (("Select",), Kept.ALL),
        (("MountedDevices", "x"), Kept.ALL),
        (("Software",), Kept.NOTHING),
    ],
)
def test_what_is_kept(path: tuple[str, ...], kept: Kept) -> None:
    assert Protection(PROTECTED["System"], upper).keep(path) is kept


def test_no_list_keeps_nothing() -> None:
    assert Protection((), upper).keep(()) is Kept.NOTHING
    assert not Protection((), upper).forbids(("Select",))
