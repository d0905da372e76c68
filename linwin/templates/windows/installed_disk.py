"""What a machine's Setup has left on a disk, read without starting it: is it the Windows that was asked for?

The disk is a qcow2 that nothing runs from, and no better known than one that a user brings: what wrote it
came from an ISO. It is read as such a one is. Its volumes are copied out of it, and only read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest, Unsupported
from linwin.templates.windows import additions, agent_service, disk_file, esp, found, gpt, hive, volume
from linwin.templates.windows.disk_file import DiskFile
from linwin.templates.windows.drivers import Package
from linwin.templates.windows.found import Windows

_IT = "it"
"""What the disk is called in a sentence that begins with it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What has to be on the disk; ``agent`` is the program's file on this host."""

    build: int
    installation: str
    packages: Sequence[Package]
    agent: Path


@dataclass(frozen=True, slots=True)
class Installed:
    """The Windows of a disk, whose C: begins ``c_start`` bytes from the disk's start."""

    windows: Windows
    c_start: int


async def open_disk(path: Path) -> DiskFile:
    """The disk's file. Raises InvalidRequest for one that names others, or is not whole."""
    try:
        return await disk_file.open_disk(path)
    except (InvalidRequest, Unsupported) as error:
        raise _unfit(error) from error


async def check(disk: DiskFile, wanted: Wanted, folder: Path) -> Installed:
    """Read a disk, with ``folder`` for what is copied out of it; say what Windows it holds.

    Raises InvalidRequest for whatever is not as wanted, Unavailable when it cannot be read.
    """
    try:
        return await _check(disk, wanted, folder)
    except (InvalidRequest, Unsupported) as error:
        raise _unfit(error) from error


async def _check(disk: DiskFile, wanted: Wanted, folder: Path) -> Installed:
    boot, c, c_start = await _volumes(disk, folder)
    await esp.check(boot, _IT, (*esp.NEEDED, esp.FALLBACK))
    await volume.check_at_rest(c, _IT)
    hives = await found.read_hives(c, folder, _IT)
    windows = await found.inspect(hives, c, _IT)
    if (windows.build, windows.installation) != (wanted.build, wanted.installation):
        raise InvalidRequest(f"it holds {windows.installation} of build {windows.build}")
    if not windows.generalized:
        raise InvalidRequest("its Windows is not generalized")
    await _check_drivers(hives, windows, wanted.packages)
    await _check_agent(hives["SYSTEM"], c, wanted.agent, folder)
    for path in (boot, c):
        await asyncio.to_thread(path.unlink)
    return Installed(windows, c_start)


async def _volumes(disk: DiskFile, folder: Path) -> tuple[Path, Path, int]:
    """Copies of the boot partition and of C:, and where C: begins."""
    table = folder / "table"
    await disk_file.copy(disk, 0, min(gpt.HEAD, disk.size), table)
    parts = gpt.partitions(table.read_bytes(), disk.size, _IT)
    boot = next((part for part in parts if part.kind == gpt.EFI_SYSTEM), None)
    if boot is None or parts[-1].kind != gpt.BASIC_DATA:
        raise InvalidRequest("it has no boot partition, or its last partition is not C:")
    paths = folder / "esp.fat", folder / "c.ntfs"
    for part, path in zip((boot, parts[-1]), paths, strict=True):
        await disk_file.copy(disk, part.start, part.size, path)
    if await asyncio.to_thread(volume.mark, paths[1]) != volume.NTFS:
        raise InvalidRequest("its C: is not an NTFS volume")
    return *paths, parts[-1].start


async def _check_drivers(hives: Mapping[str, Path], windows: Windows, packages: Sequence[Package]) -> None:
    """Those without which no guest starts take part in a start; of others the packages are at hand.

    A driver's service is made when a device asks for it, and the machine of Setup has no NIC, for one.
    """
    starting = {found.DRIVERS[name] for name in found.NEEDED if name in windows.drivers}
    needed = {found.DRIVERS[name] for name in found.NEEDED}
    stored = await found.packages(hives)
    for package in packages:
        if package.inf not in (starting if package.inf in needed else stored):
            raise InvalidRequest(f"its Windows lacks the driver {package.inf.removesuffix('.inf')}")


async def _check_agent(system: Path, c: Path, agent: Path, folder: Path) -> None:
    current = await hive.control_set(system)
    if not await hive.settings(system, (current, "Services", agent_service.NAME)):
        raise InvalidRequest(f"its Windows has no service {agent_service.NAME}")
    if not await volume.holds(c, additions.AGENT, agent, folder):
        raise InvalidRequest("its agent is not the one that was given to it")


def _unfit(why: InvalidRequest | Unsupported) -> InvalidRequest:
    return InvalidRequest(
        f"the disk that Setup has left cannot become a template: {why.message}",
        hint="what its machine said and showed last is in the folder reports of LINWIN_ROOT",
    )
