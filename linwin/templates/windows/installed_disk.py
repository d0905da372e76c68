"""What a machine's Setup has left on a disk, read without starting it: is it the Windows that was asked for?

The disk is a qcow2 that nothing runs from. Its volumes are copied out of it, and only read.

Format of the partition table: UEFI specification 2.10, 5.3. ``ImageState`` is Microsoft's "Windows Setup
States"; exit codes are ntfs-3g.probe(8)'s.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from linwin.errors import InvalidRequest
from linwin.host import process
from linwin.templates.windows import agent_service, hive
from linwin.templates.windows.disk import SECTOR
from linwin.templates.windows.drivers import BOOT_START, Package

ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
GENERALIZED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"

_CONFIG = "Windows/System32/config"
_BOOT_FILES = ("EFI/Microsoft/Boot/BCD", "EFI/Microsoft/Boot/bootmgfw.efi", "EFI/Boot/bootx64.efi")
_TIMEOUT = 1800.0  # seconds
_TABLE = 1 << 20  # bytes at a disk's start that hold its partition table
_MOST_ENTRIES = 256
_UNCLEAN = {
    12: "its C: is not an NTFS volume",
    13: "its C: is damaged",
    14: "its Windows is hibernated",
    15: "its Windows was not shut down",
}
_VERSION = ("Microsoft", "Windows NT", "CurrentVersion")
_STATE = ("Microsoft", "Windows", "CurrentVersion", "Setup", "State")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be on the disk; ``agent`` is the program's file on this host."""

    build: int
    installation: str
    packages: Sequence[Package]
    agent: Path


@dataclass(frozen=True, slots=True)
class Windows:
    """The Windows of a disk, in its own words; C: begins ``c_start`` bytes from the disk's start."""

    product: str
    edition: str
    os_version: str
    c_start: int


@dataclass(frozen=True, slots=True)
class Partition:
    """Offsets and sizes are in bytes."""

    kind: UUID
    start: int
    size: int


async def check(disk: Path, wanted: Wanted, folder: Path) -> Windows:
    """Read a disk, with ``folder`` for what is copied out of it; say what Windows it holds.

    Raises InvalidRequest for whatever is not as wanted, Unavailable when it cannot be read.
    """
    esp, c, c_start = await _volumes(disk, folder)
    await _check_boot_files(esp)
    await _check_clean(c)
    hives = {name: folder / name for name in ("SYSTEM", "SOFTWARE")}
    for name, path in hives.items():
        path.write_bytes(await _file(c, f"{_CONFIG}/{name}"))
        hive.check(path)
    windows = await _windows(hives["SOFTWARE"], wanted, c_start)
    await _check_services(hives["SYSTEM"], wanted.packages)
    if await _file(c, f"{agent_service.FOLDER}/{agent_service.PROGRAM}") != wanted.agent.read_bytes():
        raise _unfit("its agent is not the one that was given to it")
    for path in (esp, c):
        path.unlink()
    return windows


def partitions(table: bytes) -> tuple[Partition, ...]:
    """The partitions of a GPT, by their places in it. Raises InvalidRequest for what is none."""
    if table[SECTOR : SECTOR + 8] != b"EFI PART":
        raise _unfit("it has no partition table, as if nothing was ever written to it")
    first, count, size = struct.unpack_from("<QII", table, SECTOR + 72)
    if size < 128 or count > _MOST_ENTRIES or first * SECTOR + count * size > len(table):
        raise _unfit("its partition table is not one that Setup makes")
    entries = (table[at : at + size] for at in range(first * SECTOR, first * SECTOR + count * size, size))
    found = []
    for entry in entries:
        kind = UUID(bytes_le=entry[:16])
        begin, last = struct.unpack_from("<QQ", entry, 32)
        if kind.int:
            found.append(Partition(kind, begin * SECTOR, (last - begin + 1) * SECTOR))
    return tuple(found)


async def _volumes(disk: Path, folder: Path) -> tuple[Path, Path, int]:
    """Copies of the boot partition and of C:, and where C: begins."""
    table = folder / "table"
    await _copy_part(disk, 0, _TABLE, table)
    found = partitions(table.read_bytes())
    esp = next((one for one in found if one.kind == ESP), None)
    c = max(found, key=lambda one: one.start, default=None)
    if esp is None or c is None or c.kind != BASIC_DATA:
        raise _unfit("it has no boot partition, or its last partition is not C:")
    paths = folder / "esp.fat", folder / "c.ntfs"
    for partition, path in zip((esp, c), paths, strict=True):
        await _copy_part(disk, partition.start, partition.size, path)
    return *paths, c.start


async def _copy_part(disk: Path, start: int, size: int, path: Path) -> None:
    """Copy a stretch of a disk, its holes staying holes."""
    part = {
        "driver": "raw", "offset": start, "size": size,
        "file": {"driver": "qcow2", "file": {"driver": "file", "filename": str(disk)}},
    }  # fmt: skip
    source = f"json:{json.dumps(part)}"
    await process.run(["qemu-img", "convert", "-O", "raw", source, path], check=True, timeout=_TIMEOUT)


async def _check_boot_files(esp: Path) -> None:
    for name in _BOOT_FILES:
        if (await process.run(["mtype", "-i", esp, f"::{name}"], timeout=_TIMEOUT)).returncode != 0:
            raise _unfit(f"its boot partition lacks {name}")


async def _check_clean(c: Path) -> None:
    done = await process.run(["ntfs-3g.probe", "--readwrite", c], timeout=_TIMEOUT)
    if done.returncode in _UNCLEAN:
        raise _unfit(_UNCLEAN[done.returncode])
    done.check()


async def _file(c: Path, name: str) -> bytes:
    done = await process.run(["ntfscat", c, name], timeout=_TIMEOUT)
    if done.returncode != 0:
        raise _unfit(f"it has no {name}")
    return done.stdout


async def _windows(software: Path, wanted: Wanted, c_start: int) -> Windows:
    version = await hive.values_of(software, _VERSION)
    build, kind = (hive.read_text(version.get(name)) for name in ("CurrentBuildNumber", "InstallationType"))
    if build != str(wanted.build) or kind != wanted.installation:
        raise _unfit(f"it holds {kind or 'a Windows'} of build {build or 'unknown'}")
    state = hive.read_text((await hive.values_of(software, _STATE)).get("ImageState"))
    if state != GENERALIZED:
        raise _unfit(f"its Windows is not generalized, but in the state {state or 'unknown'}")
    revision = hive.read_number(version.get("UBR"))
    return Windows(
        product=hive.read_text(version.get("ProductName")),
        edition=hive.read_text(version.get("EditionID")),
        os_version=f"10.0.{build}.{revision or 0}",
        c_start=c_start,
    )


async def _check_services(system: Path, packages: Sequence[Package]) -> None:
    services = (await hive.control_set(system), "Services")
    drivers = [service for package in packages for service in package.services]
    for name in (agent_service.NAME, *(service.name for service in drivers)):
        try:
            values = await hive.values_of(system, (*services, name))
        except InvalidRequest as error:
            raise _unfit(f"its Windows has no service {name}") from error
        starts_at_boot = any(one.name == name and one.start == BOOT_START for one in drivers)
        if starts_at_boot and hive.read_number(values.get("Start")) != BOOT_START:
            raise _unfit(f"its driver {name} does not start at boot")


def _unfit(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"the disk that Setup has left cannot become a template: {why}",
        hint="what its machine said and showed last is in the folder reports of LINWIN_ROOT",
    )
