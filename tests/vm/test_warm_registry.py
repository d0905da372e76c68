"""A Wine that was frozen takes on a container's registry as a Wine that starts would load it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.images.archive_writer import Sample, layer_tar, write
from tests.vm.conftest import NANOSERVER, Linwin

HIVES = "Windows/System32/config/linwin"
SYSTEM, USER = (f"C:/{HIVES}/{name}.reg".replace("/", "\\") for name in ("system", "user"))
SHOW = ("cmd", "/c", f"type {SYSTEM} {USER}")
WARM = re.compile(r"wine is up since before the guest was frozen; changes to its registry: (\d+), in ")
ANEW = re.compile(r"wine starts anew: (.*)")

NEW_KEYS = r"""
[Software\\Odd] 1700000000
@="of no name"
"binary"=hex:00,01,02,fe,ff
"empty"=hex:
"expand"=str(2):"%SystemRoot%\\x"
"long"=hex(b):01,00,00,00,00,00,00,00
"many"=str(7):"a\0b\0"
"none"=hex(0):61,00
"nothing"=hex(0):
"nul"="a\0b"
"number"=dword:00c0ffee
"unterminated"=hex(1):61,00
"unusual"=hex(deadbeef):01
"\x416\xd83d\0\001n\"\\"="\x20ac\xdc00\t"

[Software\\Odd\\Deep\\Er\\\[\x416\] Key] 1700000000

[Software\\Odd\\Link] 1700000000
#link
"SymbolicLinkValue"=hex(6):5c,00,52,00,65,00,67,00,69,00,73,00,74,00,72,00,79,\
  00,5c,00,4d,00,61,00,63,00,68,00,69,00,6e,00,65,00,5c,00,53,00,6f,00,66,00,\
  74,00,77,00,61,00,72,00,65,00,5c,00,4f,00,64,00,64,00
"""
OWN = re.compile(
    r'(?<=\]) \d+$|^#time=.*\n|^"(?:ComputerName|Hostname|LOGONSERVER|USERDOMAIN)"=.*\n', re.MULTILINE
)
"""What no two containers have in common: times and names."""


def console(linwin: Linwin, name: str) -> str:
    return (linwin.root / "containers" / linwin.inspect(name)["Id"] / "machine/console.log").read_text()


def without_own(hives: str) -> str:
    return OWN.sub("", hives)


@pytest.fixture
def odd_image(linwin: Linwin, tmp_path: Path) -> Iterator[str]:
    """An image with all kinds of values, keys and links, and without some of the template's."""
    command = ("cmd", "/c", f"type {SYSTEM}")
    head, *keys = re.split(r"(?m)^(?=\[)", linwin.text("run", "--rm", NANOSERVER, *command))
    assert len(keys) > 5000
    starts = [key.partition("]")[0] for key in keys]
    # A branch, a leaf, and what a key says that has others below it.
    doomed = {i for i, start in enumerate(starts) if start.startswith(r"[Software\\Borland")}
    doomed |= {starts.index(r"[Software\\Classes\\.hlp")}
    doomed |= {next(i for i, start in enumerate(starts) if starts[i + 1].startswith(start + r"\\"))}
    kept = [key for i, key in enumerate(keys) if i not in doomed]
    changed = "".join([head, *kept, NEW_KEYS])
    layer = layer_tar({f"{HIVES}/system.reg": changed.encode()})
    sample = Sample(
        layers=[layer], tags=("example/odd:1.0",), os_version="10.0.17763.1", run={"Cmd": ["cmd"]}
    )
    linwin("load", "-i", str(write(tmp_path / "odd.tar", sample.docker_members())))
    yield "example/odd:1.0"
    linwin("rmi", "example/odd:1.0")


def test_a_registry_is_the_same_told_and_loaded(linwin: Linwin, odd_image: str) -> None:
    """What Wine saves at its end is compared: all of the registry that lasts."""
    saved = {}
    for name, options in (("told", ()), ("loaded", ("--cold",))):
        linwin("run", "--name", name, *options, odd_image, *SHOW)
        first = console(linwin, name)
        assert ANEW.search(first) is None
        saved[name] = without_own(linwin.text("start", "-a", name))
        if name == "told":
            found = WARM.search(first)
            assert found, first
            assert int(found[1]) == 23
    assert saved["told"] == saved["loaded"]
    (odd,) = re.findall(r"(?m)^\[Software\\\\Odd\]\n((?:.+\n)+)", saved["told"])
    assert odd.count("=") == NEW_KEYS.partition("\n\n")[0].count("=")
    assert '"unusual"=hex(deadbeef):01\n' in odd
    assert r"[Software\\Odd\\Deep\\Er\\\[\x416\] Key]" in saved["told"]
    assert "[Software\\\\Odd\\\\Link]\n#link\n" in saved["told"]
    assert "Borland" not in saved["told"]
    linwin("rm", "told", "loaded")


def test_a_restart_finds_wine_warm(linwin: Linwin) -> None:
    linwin("run", "--name", "again", NANOSERVER, "cmd", "/c", "exit")
    linwin("start", "again")
    linwin("wait", "again")
    found = WARM.search(console(linwin, "again"))
    assert found, console(linwin, "again")
    assert found[1] == "0"
    linwin("rm", "again")


def test_what_wine_reads_at_its_start_starts_it_anew(linwin: Linwin) -> None:
    create = r"reg add HKLM\System\CurrentControlSet\Services\Mine /v Start /t REG_DWORD /d 4 /f >nul"
    linwin("run", "--name", "service", NANOSERVER, "cmd", "/c", create)
    linwin("start", "service")
    linwin("wait", "service")
    found = ANEW.search(console(linwin, "service"))
    assert found, console(linwin, "service")
    assert found[1] == r"\REGISTRY\Machine\System\ControlSet001\Services\Mine is read when it starts"
    linwin("rm", "service")
