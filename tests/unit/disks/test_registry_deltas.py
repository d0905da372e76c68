"""What changed in the registry of a volume, as deltas, and back again through a chain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.disks import registry_deltas as registry_deltas_module
from linwin.disks.export import exported_read_only
from linwin.disks.registry_deltas import (
    DESCRIPTORS,
    EVERYBODY_READS,
    ONLY_THE_SYSTEM,
    registry_deltas,
)
from linwin.disks.volume import Volume
from linwin.errors import InvalidRequest
from linwin.layers.hives import PutKey, read_delta
from linwin.layers.hives.operations import DeleteKey, DeleteValue, Operation, SetValue
from linwin.model.image import Layer
from linwin.model.template import Template
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.disks.test_registry import (
    CONFIG,
    SYSTEM,
    WINDOWS,
    WINE_DEFAULT,
    WINE_SYSTEM,
    layer,
)
from tests.unit.layers.hives import wine_reader
from tests.unit.layers.hives.hive_checker import Checker, read
from tests.unit.layers.hives.hive_writer import REG_DWORD, REG_EXPAND_SZ, REG_SZ, HiveWriter, Key, text, upper
from tests.unit.layers.hives.memory import Memory

REGS = f"{CONFIG}/linwin"
WINE_USER = rb"""WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\User\\S-1-5-21-0-0-0-1000

#arch=win64

[Environment] 1735689600
#time=1db5be019ba4000
"TEMP"="C:\\temp"

[Volatile Environment] 1735689600
#time=1db5be019ba4000
"LOGONSERVER"="\\\\LINWIN"
"""
ALL_OF_WINE = {"system.reg": WINE_SYSTEM, "user.reg": WINE_USER, "userdef.reg": WINE_DEFAULT}
NOW = 1_900_000_000
STAMP = f"#time={(NOW + 11_644_473_600) * 10**7:x}"


def wine(files: dict[str, bytes]) -> bytes:
    return layer({f"{REGS}/{name}": data for name, data in files.items()})


def key(path: str, body: str) -> bytes:
    escaped = path.replace("\\", "\\\\")
    return f"\n[{escaped}] {NOW}\n{STAMP}\n{body}\n".encode()


class Found(dict[str, bytes]):
    """Deltas by name, in the order in which they came."""

    def told(self, name: str) -> list[Operation]:
        Checker(self[name]).check()
        return list(read_delta(Memory(self[name]), upper))

    def changes(self, name: str) -> list[Operation]:
        """What a delta says, without the keys that are only put."""
        return [one for one in self.told(name) if not isinstance(one, PutKey)]


Deltas = Callable[..., Found]


@contextmanager
def volumes(*disks: Path, run_dir: Path) -> Iterator[list[Volume]]:
    run_dir.mkdir(exist_ok=True)
    with exported_read_only(disks[0], run_dir) as one, exported_read_only(disks[1], run_dir) as other:
        opened = [Volume(connection, offset=0, writable=False) for connection in (one, other)]
        with opened[0], opened[1]:
            yield opened


@pytest.fixture
def deltas(
    disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], tmp_path: Path
) -> Callable[..., object]:
    """The deltas between a volume made of one layer and the same with another one above."""

    async def find(old: bytes, new: bytes, kind: str = "wine", latest: int | None = None) -> Found:
        template = replace(base, kind=kind)
        layers = [store(old), store(new)]
        _, before = await disks.chain(template, layers[:1], lambda _: None)
        _, after = await disks.chain(template, layers, lambda _: None)
        with volumes(before, after, run_dir=tmp_path / "run") as (one, other):
            return Found(registry_deltas(one, other, kind, latest=latest))

    return find


@pytest.fixture
def build(
    disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], tmp_path: Path
) -> Callable[..., object]:
    async def chain(kind: str, *layers: bytes) -> dict[str, bytes]:
        template = replace(base, kind=kind)
        _, end = await disks.chain(template, [store(one) for one in layers], lambda _: None)
        return VolumeReader(end, tmp_path / "volume.raw").files()

    return chain


# ---- Wine ---------------------------------------------------------------------


CHANGED = {
    "system.reg": WINE_SYSTEM.replace(b'"Version"="1"', b'"Version"="2"\n"Name"="\\x00fc"')
    + key("System\\ControlSet001\\Services\\Svc", '"Start"=dword:00000002')
    + key("SAM\\Domains", '@="d"')
    + key("Software\\Wine\\Drives", '"d:"="hd"')
    + key("Hardware\\Description", '@="no hive has it"'),
    "user.reg": WINE_USER.replace(b"LINWIN", b"BOX") + key("Software\\Mine", '"z"=dword:00000005'),
    "userdef.reg": WINE_DEFAULT.replace(b'"Beep"="yes"\n', b""),
}


async def test_what_changed_in_wine_goes_to_its_delta(deltas: Deltas) -> None:
    found = await deltas(wine(ALL_OF_WINE), wine(CHANGED))
    assert list(found) == ["DefaultUser_Delta", "Sam_Delta", "Software_Delta", "System_Delta"]
    assert found.changes("DefaultUser_Delta") == [DeleteValue(("Software", "Vendor"), "Beep")]
    assert found.changes("Sam_Delta") == [SetValue(("Domains",), "", REG_SZ, text("d"))]
    assert found.changes("Software_Delta") == [
        SetValue(("linwin", "CurrentUser", "Software", "Mine"), "z", REG_DWORD, b"\5\0\0\0"),
        SetValue(("Vendor",), "Name", REG_SZ, text("ü")),
        SetValue(("Vendor",), "Version", REG_SZ, text("2")),
    ]
    service = ("ControlSet001", "Services", "Svc")
    assert found.changes("System_Delta") == [SetValue(service, "Start", REG_DWORD, b"\2\0\0\0")]


async def test_an_image_from_a_commit_has_the_same_registry(deltas: Deltas, build) -> None:
    found = await deltas(wine(ALL_OF_WINE), wine(CHANGED))
    files = await build("wine", wine(ALL_OF_WINE), layer({}, dict(found)))
    system = wine_reader.read(files[f"{REGS}/system.reg"])
    assert system["Software\\Vendor"].data("Version") == text("2")
    assert system["Software\\Vendor"].data("Name") == text("ü")
    assert system["System\\ControlSet001\\Services\\Svc"].data("Start") == b"\2\0\0\0"
    assert system["SAM\\Domains"].data("") == text("d")
    assert not [path for path in ("Software\\linwin", "Software\\Wine", "Hardware") if path in system]
    user = wine_reader.read(files[f"{REGS}/user.reg"])
    assert user["Software\\Mine"].data("z") == b"\5\0\0\0"
    assert user["Environment"].data("TEMP") == text("C:\\temp")
    assert user["Volatile Environment"].data("LOGONSERVER") == text("\\\\LINWIN")
    assert not wine_reader.read(files[f"{REGS}/userdef.reg"])["Software\\Vendor"].values


async def test_nothing_is_left_to_tell_of_an_image_from_a_commit(deltas: Deltas, build) -> None:
    first = await deltas(wine(ALL_OF_WINE), wine(CHANGED))
    files = await build("wine", wine(ALL_OF_WINE), layer({}, dict(first)))
    image = wine({name: files[f"{REGS}/{name}"] for name in ALL_OF_WINE})
    assert await deltas(image, wine(CHANGED)) == {}


async def test_variables_of_a_user_and_of_the_machine(deltas: Deltas, build) -> None:
    """setx NAME value, and with /M."""
    changed = ALL_OF_WINE | {
        "user.reg": WINE_USER.replace(b'"TEMP"', b'"BAR"="baz"\n"TEMP"'),
        "system.reg": WINE_SYSTEM.replace(b'windows"', b'windows;C:\\\\app"'),
    }
    found = await deltas(wine(ALL_OF_WINE), wine(changed))
    assert list(found) == ["Software_Delta", "System_Delta"]
    environment = ("ControlSet001", "Control", "Session Manager", "Environment")
    assert found.changes("System_Delta") == [
        SetValue(environment, "PATH", REG_EXPAND_SZ, text("C:\\windows;C:\\app"))
    ]
    files = await build("wine", wine(ALL_OF_WINE), layer({}, dict(found)))
    assert b'"BAR"="baz"' in files[f"{REGS}/user.reg"]


async def test_what_is_deleted_of_the_users(deltas: Deltas, build) -> None:
    gone = WINE_USER.partition(b"[Environment]")[0] + b"[Volatile" + WINE_USER.partition(b"[Volatile")[2]
    found = await deltas(wine(ALL_OF_WINE), wine(ALL_OF_WINE | {"user.reg": gone}))
    assert found.changes("Software_Delta") == [DeleteKey(("linwin", "CurrentUser", "Environment"))]
    files = await build("wine", wine(ALL_OF_WINE), layer({}, dict(found)))
    assert "Environment" not in wine_reader.read(files[f"{REGS}/user.reg"])
    assert files[f"{REGS}/system.reg"] == WINE_SYSTEM


async def test_a_container_that_only_ran_changed_nothing(deltas: Deltas) -> None:
    """What Wine wrote, found in guests with other names, processors, networks and users."""
    control = "System\\ControlSet001\\Control"
    environment = key(
        f"{control}\\Session Manager\\Environment",
        '"NUMBER_OF_PROCESSORS"="1"\n"PATH"=str(2):"C:\\\\windows"\n"PROCESSOR_REVISION"="1a03"',
    )
    ran = {
        "system.reg": WINE_SYSTEM
        + environment
        + key(f"{control}\\ComputerName\\ComputerName", '"ComputerName"="BOX"')
        + key(f"{control}\\TimeZoneInformation", '"StandardName"="Coordinated Universal Time"')
        + key(f"{control}\\Class\\{{4D36E968-E325-11CE-BFC1-08002BE10318}}\\0000", '"DriverDesc"="Wine GPU"')
        + key("System\\ControlSet001\\Enum\\PCI\\VEN_0000\\00000000", '"Class"="Display"')
        + key("System\\ControlSet001\\Services\\Tcpip\\Parameters", '"Hostname"="box"\n"Domain"="d"')
        + key("Software\\Microsoft\\Windows\\CurrentVersion\\RunServices", "")
        + key("Software\\Wine\\Drives", '"d:"="hd"'),
        "user.reg": WINE_USER.replace(b"LINWIN", b"BOX")
        + key("Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\Shell Folders", '"Desktop"="C:"')
        + key("Software\\Wine\\Fonts", '"LogPixels"=dword:00000060'),
    }
    parents = {
        "system.reg": WINE_SYSTEM
        + key(f"{control}\\ComputerName\\ComputerName", "")
        + key("System\\ControlSet001\\Services\\Tcpip\\Parameters", '"Hostname"="linwin"')
        + key("System\\ControlSet001\\Enum", "")
        + key(f"{control}\\Class", "")
        + key("Software\\Microsoft\\Windows\\CurrentVersion", "")
        + key("Software\\Wine", ""),
        "user.reg": WINE_USER
        + key("Software\\Microsoft\\Windows\\CurrentVersion\\Explorer", "")
        + key("Software\\Wine", ""),
    }
    assert await deltas(wine(ALL_OF_WINE | parents), wine(ALL_OF_WINE | ran)) == {}


async def test_a_program_cannot_speak_for_the_user_below_the_keys_that_are_ours(deltas: Deltas) -> None:
    ours = WINE_SYSTEM + key("Software\\linwin\\CurrentUser\\Environment", '"X"="y"')
    assert await deltas(wine(ALL_OF_WINE), wine(ALL_OF_WINE | {"system.reg": ours})) == {}


@pytest.mark.parametrize("target", [b"", b"00,32,00"])
async def test_a_delta_never_speaks_of_the_current_control_set(deltas: Deltas, target: bytes) -> None:
    """Neither when the link is gone, nor when it leads elsewhere."""
    head, middle, link = WINE_SYSTEM.partition(b"[System\\\\CurrentControlSet]")
    system = head + middle + link.replace(b"00,31,00", target) if target else head
    assert await deltas(wine(ALL_OF_WINE), wine(ALL_OF_WINE | {"system.reg": system})) == {}


async def test_the_same_registry_and_one_that_is_missing_give_nothing(deltas: Deltas) -> None:
    assert await deltas(wine(ALL_OF_WINE), layer({"a": b"a"})) == {}
    assert await deltas(wine({"system.reg": WINE_SYSTEM}), wine(CHANGED | {"system.reg": WINE_SYSTEM})) == {}
    gone = layer({f"{REGS}/.wh.system.reg": b""})
    assert await deltas(wine({"system.reg": WINE_SYSTEM}), gone) == {}


async def test_equal_changes_give_equal_bytes(deltas: Deltas) -> None:
    later = {name: data.replace(str(NOW).encode(), b"1900000555") for name, data in CHANGED.items()}
    later = {name: data.replace(STAMP.encode(), b"#time=1f0000000000000") for name, data in later.items()}
    latest = 1_700_000_000 * 10**9
    first = await deltas(wine(ALL_OF_WINE), wine(CHANGED), latest=latest)
    assert first == await deltas(wine(ALL_OF_WINE), wine(later), latest=latest)
    times = {one.written for one in first.told("System_Delta") if isinstance(one, PutKey)}
    assert max(times) == 116_444_736_000_000_000 + latest // 100


async def test_keys_of_wine_get_descriptors_that_windows_takes(deltas: Deltas) -> None:
    found = await deltas(wine(ALL_OF_WINE), wine(CHANGED))
    for name in found:
        expected = DESCRIPTORS.get(name.removesuffix("_Delta"), EVERYBODY_READS)
        assert {one.security for one in found.told(name) if isinstance(one, PutKey)} == {expected}
    assert DESCRIPTORS == {"Sam": ONLY_THE_SYSTEM, "Security": ONLY_THE_SYSTEM}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"junk", "it is not a registry file of Wine"),
        (
            WINE_SYSTEM + b'\n[Software\\\\K] 1\n"v"=what\n',
            'key "K": it has a value that is not written as Wine writes values',
        ),
        (
            WINE_SYSTEM + b"\n[Software\\\\" + b"n" * 300 + b"] 1\n",
            f'key "{"n" * 200}…": the name of a key is longer than 256 characters',
        ),
        (
            WINE_SYSTEM + b"\n[Software" + b"\\\\k" * 600 + b"] 1\n",
            "keys lie more than 512 levels deep",
        ),
    ],
)
async def test_a_registry_of_wine_that_is_none(deltas: Deltas, body: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await deltas(wine(ALL_OF_WINE), wine(ALL_OF_WINE | {"system.reg": body}))
    where = "Software_Delta" if "longer" in message else f"{REGS}/system.reg"
    assert caught.value.message == f"what changed in the registry hive {where} cannot be told: {message}"
    assert caught.value.hint == (
        "the container's registry is damaged or too large; "
        "run its commands in a new container of the same image"
    )


# ---- Windows ------------------------------------------------------------------

NEW_SOFTWARE = HiveWriter().write(
    Key("ROOT", {}, [Key("Vendor", {"Version": (REG_SZ, text("2"))}, [Key("New")])])
)


async def test_what_changed_in_a_hive_of_windows(deltas: Deltas, build) -> None:
    changed = layer({f"{CONFIG}/SOFTWARE": NEW_SOFTWARE})
    found = await deltas(WINDOWS, changed, kind="windows")
    assert list(found) == ["Software_Delta"]
    assert found.changes("Software_Delta") == [SetValue(("Vendor",), "Version", REG_SZ, text("2"))]
    files = await build("windows", WINDOWS, layer({}, dict(found)))
    vendor = read(files[f"{CONFIG}/SOFTWARE"])["Vendor"]
    assert (vendor.data("Version"), set(vendor.children)) == (text("2"), {"NEW"})
    assert files[f"{CONFIG}/SYSTEM"] == SYSTEM


async def test_keys_that_no_layer_may_change_are_in_none(deltas: Deltas) -> None:
    viostor = Key("viostor", {"Start": (REG_DWORD, b"\4\0\0\0")})
    services = Key("Services", {}, [viostor, Key("Spooler"), Key("Mine")])
    control = Key("Control", {}, [Key("Windows", {"ShutdownTime": (3, bytes(8))})])
    system = HiveWriter().write(
        Key("ROOT", {}, [Key("ControlSet001", {}, [control, services]), Key("Select", {"x": (3, b"")})])
    )
    found = await deltas(WINDOWS, layer({f"{CONFIG}/SYSTEM": system}), kind="windows")
    assert [one.path for one in found.told("System_Delta")] == [
        (),
        ("ControlSet001",),
        ("ControlSet001", "Control"),
        ("ControlSet001", "Control", "Windows"),
        ("ControlSet001", "Services"),
        ("ControlSet001", "Services", "Mine"),
    ]


@pytest.mark.parametrize(
    ("hive", "message"),
    [
        (b"", "0 bytes are too few for a registry hive"),
        (
            NEW_SOFTWARE[:4] + b"\x08" + NEW_SOFTWARE[5:],
            "the checksum of its header is wrong",
        ),
        (NEW_SOFTWARE[:4096] + bytes(4096), "the offset 0x20 is in no hive bin"),
    ],
)
async def test_a_hive_of_windows_that_is_damaged(deltas: Deltas, hive: bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await deltas(WINDOWS, layer({f"{CONFIG}/SOFTWARE": hive}), kind="windows")
    assert caught.value.message == (
        f"what changed in the registry hive {CONFIG}/SOFTWARE cannot be told: {message}"
    )


async def test_a_hive_that_is_too_large(deltas: Deltas, monkeypatch) -> None:
    assert registry_deltas_module.LARGEST_HIVE == 256 << 20
    monkeypatch.setattr(registry_deltas_module, "LARGEST_HIVE", 1 << 20)
    with pytest.raises(InvalidRequest, match=r"a file of 1048577 bytes is larger than 1 MiB\n"):
        await deltas(WINDOWS, layer({f"{CONFIG}/SOFTWARE": bytes((1 << 20) + 1)}), kind="windows")
