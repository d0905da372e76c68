"""Registry deltas through a chain: onto hives of Windows, and onto Wine's text files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.disks import ChainDisks, registry
from linwin.disks.content import Refused
from linwin.disks.registry import RegistryChanges
from linwin.errors import InvalidRequest
from linwin.layers import HiveDelta
from linwin.model.image import Layer
from linwin.model.progress import Progress
from linwin.model.template import Template
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.hives.hive_checker import read
from tests.unit.layers.hives.hive_writer import (
    REG_DWORD,
    REG_EXPAND_SZ,
    REG_SZ,
    SUPERSEDE_TREE,
    TOMBSTONE,
    Deleted,
    HiveWriter,
    Key,
    text,
)
from tests.unit.layers.windows_tar import LayerTar

CONFIG = "Windows/System32/config"
SERVICE = Key("Services", {}, [Key("viostor", {"Start": (REG_DWORD, bytes(4))}), Key("Spooler")])
SYSTEM = HiveWriter().write(
    Key("ROOT", {}, [Key("ControlSet001", {}, [Key("Control"), SERVICE]), Key("Select"), Key("Setup")])
)
SOFTWARE = HiveWriter().write(Key("ROOT", {}, [Key("Vendor", {"Version": (REG_SZ, text("1"))})]))
WINE_SYSTEM = rb"""WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\Machine

#arch=win64

[Software\\Vendor] 1735689600
#time=1db5be019ba4000
"Version"="1"

[System\\ControlSet001\\Control\\Session Manager\\Environment] 1735689600
#time=1db5be019ba4000
"PATH"=str(2):"C:\\windows"

[System\\CurrentControlSet] 1735689600
#time=1db5be019ba4000
#link
"SymbolicLinkValue"=hex(6):5c,00,52,00,65,00,67,00,69,00,73,00,74,00,72,00,79,\
  00,5c,00,4d,00,61,00,63,00,68,00,69,00,6e,00,65,00,5c,00,53,00,79,00,73,00,\
  74,00,65,00,6d,00,5c,00,43,00,6f,00,6e,00,74,00,72,00,6f,00,6c,00,53,00,65,\
  00,74,00,30,00,30,00,31,00
"""
WINE_DEFAULT = rb"""WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\User\\.Default

#arch=win64

[Software\\Vendor] 1735689600
"Beep"="yes"
"""


def layer(files: dict[str, bytes], hives: dict[str, bytes] | None = None) -> bytes:
    tar = LayerTar().directory("Files").directory("Hives")
    for name, data in (hives or {}).items():
        tar.add(f"Hives/{name}", data)
    for name, data in files.items():
        tar.add(f"Files/{name}", data)
    return tar.bytes()


def delta(*keys: Key) -> bytes:
    return HiveWriter(layered=True).write(Key("DELTA", {}, list(keys)))


WINDOWS = layer({f"{CONFIG}/SYSTEM": SYSTEM, f"{CONFIG}/SOFTWARE": SOFTWARE})
WINE = layer({f"{CONFIG}/linwin/system.reg": WINE_SYSTEM, f"{CONFIG}/linwin/userdef.reg": WINE_DEFAULT})
NEWER = delta(Key("VENDOR", {"version": (REG_SZ, text("2"))}, [Key("New")]))

Apply = Callable[..., VolumeReader]


@pytest.fixture
def windows(base: Template) -> Template:
    return replace(base, kind="windows")


@pytest.fixture
def build(
    disks: ChainDisks, store: Callable[[bytes], Layer], progress: list[Progress], tmp_path: Path
) -> Apply:
    async def chain(template: Template, *layers: bytes) -> VolumeReader:
        _, end = await disks.chain(template, [store(one) for one in layers], progress.append)
        return VolumeReader(end, tmp_path / "volume.raw")

    return chain


def said(progress: list[Progress]) -> list[str]:
    return [step.status for step in progress if step.status.startswith("Registry")]


async def test_a_delta_reaches_the_hive_of_windows(build, windows, progress) -> None:
    volume = await build(windows, WINDOWS, layer({"a": b"a"}, {"Software_Delta": NEWER}))
    tree = read(volume.files()[f"{CONFIG}/SOFTWARE"])
    assert tree["Vendor"].data("Version") == text("2")
    assert "Vendor\\New" in tree
    assert volume.files()[f"{CONFIG}/SYSTEM"] == SYSTEM
    assert volume.files()["a"] == b"a"
    assert said(progress) == ["Registry changed: Software_Delta"]


async def test_a_delta_applies_to_the_hive_of_its_own_layer(build, windows) -> None:
    own = HiveWriter().write(Key("ROOT", {}, [Key("Mine"), Key("Vendor")]))
    volume = await build(windows, WINDOWS, layer({f"{CONFIG}/Software": own}, {"SOFTWARE_delta": NEWER}))
    tree = read(volume.files()[f"{CONFIG}/Software"])
    assert "Mine" in tree
    assert tree["Vendor"].data("Version") == text("2")


async def test_deltas_add_up_from_layer_to_layer(build, windows) -> None:
    last = delta(Key("Vendor", {"Version": Deleted}, [Key("Newer")]))
    volume = await build(
        windows, WINDOWS, layer({}, {"Software_Delta": NEWER}), layer({}, {"Software_Delta": last})
    )
    vendor = read(volume.files()[f"{CONFIG}/SOFTWARE"])["Vendor"]
    assert (set(vendor.values), set(vendor.children)) == (set(), {"NEW", "NEWER"})


async def test_what_a_guest_needs_to_start_stays(build, windows, progress) -> None:
    hostile = delta(
        Key(
            "ControlSet001", semantics=SUPERSEDE_TREE, subkeys=[Key("Control", {"x": (REG_DWORD, bytes(4))})]
        ),
        Key("Select", semantics=TOMBSTONE),
    )
    volume = await build(windows, WINDOWS, layer({}, {"System_Delta": hostile}))
    tree = read(volume.files()[f"{CONFIG}/SYSTEM"])
    assert tree["ControlSet001\\Services\\viostor"].data("Start") == bytes(4)
    assert "ControlSet001\\Services\\Spooler" not in tree
    assert "Select" in tree
    assert said(progress) == [
        "Registry changed: System_Delta; 2 keys that the guest needs to start left as before"
    ]


async def test_a_delta_reaches_wines_registry(build, base, progress) -> None:
    environment = Key("Environment", {"PATH": (REG_EXPAND_SZ, text("C:\\windows;C:\\täst"))})
    system = delta(
        Key("ControlSet001", {}, [Key("Control", {}, [Key("Session Manager", {}, [environment])])]),
        Key("CurrentControlSet", {}, [Key("Services", {}, [Key("Svc", {"Start": (REG_DWORD, bytes(4))})])]),
    )
    volume = await build(
        base,
        WINE,
        layer(
            {},
            {
                "System_Delta": system,
                "Software_Delta": NEWER,
                "DefaultUser_Delta": delta(Key("Software", semantics=TOMBSTONE)),
            },
        ),
    )
    reg = volume.files()[f"{CONFIG}/linwin/system.reg"].decode("ascii")
    assert '"Version"="2"\n' in reg
    assert '"PATH"=str(2):"C:\\\\windows;C:\\\\t\\x00e4st"\n' in reg
    assert "\n[System\\\\ControlSet001\\\\Services\\\\Svc] 1555526400\n" in reg
    assert "\n[Software\\\\Vendor\\\\New] " in reg
    assert volume.files()[f"{CONFIG}/linwin/userdef.reg"] == WINE_DEFAULT.partition(b"[")[0]
    assert said(progress) == ["Registry changed: System_Delta, Software_Delta, DefaultUser_Delta"]


async def refusal(build: Apply, template: Template, *layers: bytes) -> str:
    """What is said, behind the layer's name."""
    with pytest.raises(InvalidRequest) as caught:
        await build(template, *layers)
    assert caught.value.hint
    return re.sub(r"^layer [0-9a-f]{12}[:,] ", "", caught.value.message)


@pytest.mark.parametrize(
    ("hives", "message"),
    [
        ({"Components_Delta": NEWER}, "Windows has no registry hive of that name"),
        ({"Sam_Delta": NEWER}, "C: has no registry hive Windows/System32/config/SAM to change"),
        ({"Software_Delta": b""}, "0 bytes are too few for a registry hive"),
        ({"Software_Delta": NEWER[:6000]}, "6000 bytes are too few for a registry hive"),
        ({"SOFTWARE_DELTA": NEWER, "Software_Delta": NEWER}, "the layer has this hive twice"),
    ],
)
async def test_what_cannot_be_applied(build, windows, hives, message) -> None:
    expected = f'entry "Hives/{list(hives)[-1]}": {message}'
    assert await refusal(build, windows, WINDOWS, layer({}, hives)) == expected


async def test_a_folder_is_no_hive(build, windows) -> None:
    folder = layer({f"{CONFIG}/SOFTWARE/file": b""})
    assert (
        await refusal(build, windows, folder, layer({}, {"Software_Delta": NEWER}))
        == f'entry "Hives/Software_Delta": C: has no registry hive {CONFIG}/SOFTWARE to change'
    )


async def test_a_refused_delta_leaves_nothing(build, disks, windows, paths, store) -> None:
    """The layer's files were written by then."""
    bad = store(layer({"a": b"a"}, {"Software_Delta": NEWER, "Sam_Delta": NEWER}))
    good = store(WINDOWS)
    with pytest.raises(InvalidRequest):
        await disks.chain(windows, [good, bad], lambda _: None)
    assert len(list(paths.chains.iterdir())) == 2
    assert not any(paths.scratch.iterdir())


async def test_wines_files_grow_and_shrink(build, base) -> None:
    """From a few hundred bytes, which NTFS keeps in the file's record, to many and back."""
    many = Key("Software", {f"v{n}": (REG_SZ, text("x" * 100)) for n in range(300)})
    first = layer({}, {"DefaultUser_Delta": delta(many)})
    volume = await build(base, WINE, first)
    grown = volume.files()[f"{CONFIG}/linwin/userdef.reg"]
    assert len(grown) > 30_000
    volume = await build(
        base, WINE, first, layer({}, {"DefaultUser_Delta": delta(Key("Software", semantics=TOMBSTONE))})
    )
    assert volume.files()[f"{CONFIG}/linwin/userdef.reg"] == WINE_DEFAULT.partition(b"[")[0]


async def test_deltas_have_a_largest_size(build, windows, monkeypatch) -> None:
    assert registry.LARGEST_DELTA == 256 << 20
    entry = HiveDelta("Software_Delta", (256 << 20) + 1, io.BytesIO())
    changes = RegistryChanges(NoVolume(), "windows", Path("nowhere"), "layer x")
    with pytest.raises(Refused, match=r"^a hive of 268435457 bytes is larger than 256 MiB$"):
        changes.keep(entry)


class NoVolume:
    """All that is asked of a volume before anything is applied."""

    def fold(self, name: str) -> str:
        return name.upper()


async def test_a_hive_below_that_is_damaged(build, windows) -> None:
    damaged = layer({f"{CONFIG}/SOFTWARE": SOFTWARE[:600] + b"x" + SOFTWARE[601:4096] + bytes(8192)})
    assert (
        await refusal(build, windows, damaged, layer({}, {"Software_Delta": NEWER}))
        == "the registry hive Windows/System32/config/SOFTWARE cannot be changed: the root key: "
        "the offset 0x20 is in no hive bin"
    )


async def test_a_change_writes_only_what_it_touches(disks, windows, store, paths) -> None:
    big = HiveWriter().write(
        Key("R", {}, [Key(f"k{n:04}", {"v": (3, bytes([n % 251]) * 2000)}) for n in range(4000)])
    )
    layers = [layer({f"{CONFIG}/SOFTWARE": big}), layer({}, {"Software_Delta": delta(Key("k2000"))})]
    _, end = await disks.chain(windows, [store(one) for one in layers], lambda _: None)
    assert end.stat().st_blocks * 512 < 1_500_000
