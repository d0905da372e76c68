"""Makes a Windows template of a disk that a user has.

``WindowsImport._import`` is the table of contents. The user's file is only read. Its partitions of Windows
are copied into files of the import's own, what they lack is added there, and a new disk is written of the
copies and of what else the user's disk has, byte for byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from linwin.errors import InvalidRequest, Unsupported
from linwin.model.progress import Progress, Report
from linwin.model.template import Imported
from linwin.templates import manifest
from linwin.templates.manifest import DISK, Manifest
from linwin.templates.windows import (
    additions,
    agent_service,
    disk,
    disk_file,
    driver_store,
    esp,
    found,
    gpt,
    releases,
    room,
    unattend,
    volume,
)
from linwin.templates.windows.additions import CONFIG, HIVES
from linwin.templates.windows.disk_file import DiskFile
from linwin.templates.windows.driver_store import Stored
from linwin.templates.windows.found import Windows
from linwin.templates.windows.gpt import Partition
from linwin.templates.windows.releases import Release
from linwin.templates.windows.virtio import Wanted, read_drivers

_SPARE = 1 << 30  # bytes of C: that a container has for itself at least


@dataclass(frozen=True, slots=True)
class _Volume:
    """A partition, and the copy of it."""

    partition: Partition
    copy: Path


@dataclass(frozen=True, slots=True)
class _Drivers:
    """Packages that are added, and the folders that their files are in, by their INF files."""

    stored: tuple[Stored, ...]
    folders: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class WindowsImport:
    """One import in ``folder``, an empty folder of its own.

    ``agents`` holds the guest's binaries; ``virtio`` is the ISO with drivers, if the user gave one.
    """

    name: str
    agents: Path
    folder: Path
    report: Report
    source: DiskFile
    virtio: Path | None

    async def run(self) -> Manifest:
        """Make the part and its record in ``folder/out``. Raises LinwinError or OSError."""
        with room.told(self.folder):
            return await self._import()

    async def _import(self) -> Manifest:
        self._out.mkdir()
        boot, c = await self._copy_volumes()
        hives = await self._read_hives(c)
        windows = await found.inspect(hives, c.copy, self._disk)
        release = releases.release(windows.build, self._disk)
        self._say_what_it_is(windows)
        drivers = await self._fetch_drivers(windows, release, c)
        await self._add(windows, drivers, hives, c)
        await self._check_spare(c)
        await esp.add_fallback(boot.copy, self.folder)
        await self._write_disk(boot, c)
        self._say("Hashing the disk")
        return await asyncio.to_thread(self._record, windows, release, drivers, c)

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def _disk(self) -> str:
        return self.source.path.name

    @property
    def _agent(self) -> Path:
        return self.agents / agent_service.PROGRAM

    async def _copy_volumes(self) -> tuple[_Volume, _Volume]:
        """Copies of the EFI system partition and of C:."""
        self._say(f"Reading the partition table of {self._disk}")
        head = self.folder / "head"
        await disk_file.copy(self.source, 0, min(gpt.HEAD, self.source.size), head)
        table = gpt.partitions(head.read_bytes(), self.source.size, self._disk)
        boot = await self._copy_esp(table)
        self._say(f"Copying C: out of {self._disk}")
        return boot, await self._copy_c(table)

    async def _copy_esp(self, table: tuple[Partition, ...]) -> _Volume:
        parts = [part for part in table if part.kind == gpt.EFI_SYSTEM]
        if len(parts) != 1:
            raise InvalidRequest(
                f"{self._disk} has {len(parts) or 'no'} EFI system partition{'s' if parts else ''}, "
                "and guests start from the one",
                hint="take an image of the whole disk that Windows starts from, by UEFI",
            )
        copied = await self._copy(parts[0], "esp.fat")
        await esp.check(copied.copy, self._disk)
        return copied

    async def _copy_c(self, table: tuple[Partition, ...]) -> _Volume:
        """The one volume with a Windows on it."""
        with_windows, encrypted = [], False
        for part in (part for part in table if part.kind == gpt.BASIC_DATA):
            mark = await self._mark(part)
            encrypted = encrypted or mark == volume.BITLOCKER
            if mark != volume.NTFS:
                continue
            copied = await self._copy(part, f"{part.number}.ntfs")
            if not await volume.sizes(copied.copy, ""):  # an empty one, or one whose faults are to be told
                await volume.check_at_rest(copied.copy, self._disk)
            if "SYSTEM" in {name.upper() for name in await found.config(copied.copy)}:
                with_windows.append(copied)
            else:
                await asyncio.to_thread(copied.copy.unlink)
        if not with_windows and encrypted:
            raise Unsupported(
                f"{self._disk} is encrypted by BitLocker",
                hint="decrypt it on Windows, and wait for its end: manage-bde -off C:; manage-bde -status",
            )
        if len(with_windows) != 1:
            raise InvalidRequest(
                f"{self._disk} has {len(with_windows)} volumes with a Windows on them, and a template has one"
                if with_windows
                else f"there is no Windows on {self._disk}: no volume has {CONFIG}/SYSTEM",
                hint="take an image of a disk with one Windows that starts from it",
            )
        (c,) = with_windows
        await volume.check_at_rest(c.copy, self._disk)
        return c

    async def _copy(self, part: Partition, name: str) -> _Volume:
        used = await disk_file.content_size(self.source, part.start, part.size)
        # The copy, and the disk that is made of it and of what else there is.
        whole = await disk_file.content_size(self.source, 0, self.source.size)
        room.check(self.folder, used + whole, "import")
        copied = _Volume(part, self.folder / name)
        await disk_file.copy(self.source, part.start, part.size, copied.copy)
        return copied

    async def _mark(self, part: Partition) -> bytes:
        """What a volume's boot sector says that it is."""
        sector = self.folder / "sector"
        await disk_file.copy(self.source, part.start, min(part.size, volume.BOOT_SECTOR), sector)
        return await asyncio.to_thread(volume.mark, sector)

    async def _read_hives(self, c: _Volume) -> dict[str, Path]:
        folder = self.folder / "hives"
        folder.mkdir()
        return await found.read_hives(c.copy, folder, self._disk)

    def _say_what_it_is(self, windows: Windows) -> None:
        self._say(f"Found {windows.product}, {windows.installation}, {windows.os_version}")
        if windows.installation == releases.CLIENT:
            self._say("It is a Windows for clients: whether images of its build run on it, nobody has seen")
        if windows.evaluation_ends:
            self._say(f"It is an evaluation that ends on {windows.evaluation_ends}, if it was not prolonged")
        elif windows.edition.endswith("Eval"):
            self._say("It is an evaluation of 180 days, which begin when it starts")

    async def _fetch_drivers(self, windows: Windows, release: Release, c: _Volume) -> _Drivers:
        """The packages that the Windows lacks."""
        missing = tuple(name for name in found.DRIVERS if name not in windows.drivers)
        if not missing:
            self._say("It has all drivers")
            return _Drivers((), {})
        if self.virtio is None:
            self._check_needed(missing)
            self._say(f"It goes without {', '.join(missing)}: give --virtio to add what is missing")
            return _Drivers((), {})
        self._say(f"Choosing {', '.join(missing)} in {self.virtio.name}")
        folder = self.folder / "drivers"
        folder.mkdir()
        systems = releases.driver_folders(release, windows.installation)
        read = await read_drivers(self.virtio, Wanted(missing, systems, windows.build), folder)
        listed = await volume.listing(c.copy, ["Windows/INF"])
        stored = driver_store.publish((driver.package for driver in read), listed.paths)
        return _Drivers(stored, {driver.package.inf: driver.folder for driver in read})

    def _check_needed(self, missing: tuple[str, ...]) -> None:
        if needed := [name for name in missing if name in found.NEEDED]:
            raise InvalidRequest(
                f"the Windows on {self._disk} lacks the drivers {', '.join(needed)}, without which no guest "
                "starts",
                hint=f"give them: linwin template import {self._disk} --name {self.name} "
                "--virtio virtio-win.iso",
            )

    async def _add(self, windows: Windows, drivers: _Drivers, hives: Mapping[str, Path], c: _Volume) -> None:
        """Edit the copy of C:, where anything is missing on it."""
        files = await self._missing_files(windows, drivers, c)
        edited = {}
        if drivers.stored or not windows.runs_agent:
            self._say("Registering what is missing")
            listed = await volume.listing(c.copy, [CONFIG, "Windows/INF"])
            await additions.register(hives, drivers.stored, listed.paths)
            names = HIVES if drivers.stored else HIVES[:1]
            edited = {listed.spelled(f"{CONFIG}/{name}"): hives[name] for name in names}
        if not files and not edited:
            return
        self._say("Adding what is missing to C:")
        listed = await volume.listing(c.copy, [path.rpartition("/")[0] for path in files])
        spelled = {listed.spelled(path): file for path, file in files.items()}
        await volume.make_folders(c.copy, listed.new_folders(spelled))
        await volume.put(c.copy, edited | spelled)
        new = [path for path in spelled if not listed.has(path)]
        if new:
            restore = self.folder / "descriptors"
            restore.write_bytes(additions.descriptors(listed, new, unattend.FIRST_ANSWERS))
            await disk.protect(c.copy, restore)

    async def _missing_files(self, windows: Windows, drivers: _Drivers, c: _Volume) -> dict[str, Path]:
        """Files that C: is to get, by their paths."""
        files = additions.driver_files(drivers.stored, drivers.folders)
        listed = await volume.listing(c.copy, [agent_service.FOLDER])
        there = listed.spelled(additions.AGENT)
        if not await volume.holds(c.copy, there, self._agent, self.folder):
            self._say("Its agent is another one" if listed.has(additions.AGENT) else "It has no agent")
            files[additions.AGENT] = self._agent
        if windows.generalized:
            files |= await self._first_start(drivers, c)
        return files

    async def _first_start(self, drivers: _Drivers, c: _Volume) -> dict[str, Path]:
        """Answers for the setup that goes on, and what runs after it; those that the user has stay."""
        files = {}
        made = additions.first_start(drivers.stored, unattend.FIRST_ANSWERS)
        listed = await volume.listing(c.copy, [path.rpartition("/")[0] for path in made])
        for path, content in made.items():
            if listed.has(path):
                self._say(f"Leaving {path} as it is")
                continue
            files[path] = self.folder / path.rpartition("/")[2]
            files[path].write_bytes(content)
        return files

    async def _check_spare(self, c: _Volume) -> None:
        if (free := await volume.free(c.copy)) < _SPARE:
            raise InvalidRequest(
                f"C: of {self._disk} is too small for containers: of {c.partition.size / room.GIB:.1f} GiB "
                f"{free / room.GIB:.1f} GiB are free, and {_SPARE / room.GIB:.0f} GiB are needed",
                hint="make it larger on Windows: Resize-VHD or its like, then Resize-Partition",
            )

    async def _write_disk(self, boot: _Volume, c: _Volume) -> None:
        self._say("Writing the disk")
        copies = {part.partition.start: part.copy for part in (boot, c)}
        await disk_file.join(self.source, copies, self._out / DISK)
        self.source.check_unchanged()

    def _record(self, windows: Windows, release: Release, drivers: _Drivers, c: _Volume) -> Manifest:
        (self._out / DISK).chmod(0o444)
        added = {
            name: _version(drivers, inf) for name, inf in found.DRIVERS.items() if inf in drivers.folders
        }
        present = {**windows.drivers, **added}
        known = tuple((name, present[name]) for name in found.DRIVERS if name in present)
        record = Manifest(
            name=self.name,
            kind="windows",
            summary=f"{windows.product}, imported from {self._disk}",
            cmdline="",
            minimum_memory=releases.minimum_memory(windows.installation),
            serves_any_build=False,
            provides=releases.provided(release, windows.installation, windows.os_version),
            left_out=(),
            unserved=(),
            parts=manifest.part_digests(self._out, (DISK,)),
            packages=(
                f"{windows.product} {windows.os_version}",
                *(f"{name} {version}" for name, version in known),
            ),
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            c_start=c.partition.start,
            imported=Imported(
                source=self._disk,
                format=self.source.format,
                product=windows.product,
                edition=windows.edition,
                installation=windows.installation,
                generalized=windows.generalized,
                evaluation_ends=windows.evaluation_ends,
                drivers=known,
                added=tuple(added),
                agent=manifest.file_digest(self._agent),
            ),
        )
        (self._out / manifest.FILE).write_bytes(record.to_json())
        return record

    def _say(self, status: str) -> None:
        self.report(Progress(status, id=self.name))


def _version(drivers: _Drivers, inf: str) -> str:
    (package,) = (one.package for one in drivers.stored if one.package.inf == inf)
    return ".".join(map(str, package.version))
