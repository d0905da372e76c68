"""Builds a Windows template: its one part is a disk that a PC with UEFI firmware starts from.

``WindowsBuild._build`` is the table of contents. Nothing is made outside of the build's own folder, so
whatever fails or is interrupted leaves nothing that could be taken for a template.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from linwin.errors import InvalidRequest
from linwin.model.progress import Progress, Report
from linwin.templates.manifest import DISK, Manifest
from linwin.templates.recipe import WindowsRecipe
from linwin.templates.windows import (
    additions,
    agent_service,
    bcd,
    disk,
    driver_store,
    hive,
    media,
    record,
    room,
    unattend,
    wim,
)
from linwin.templates.windows.additions import CONFIG, HIVES
from linwin.templates.windows.driver_store import Stored
from linwin.templates.windows.listing import Listing
from linwin.templates.windows.wim import Image

_BOOT = "Windows/Boot"
_LOADER = "EFI/bootmgfw.efi"
_BOOT_FOLDERS = ("EFI", "Fonts", "Resources")
_NEEDED = (
    *(f"{CONFIG}/{name}" for name in HIVES),
    f"{_BOOT}/{_LOADER}",
    "Windows/System32/winload.efi",
)


@dataclass(frozen=True, slots=True)
class _Source:
    """The image that C: is made of: the build's own copy of the WIM file, and what the image holds."""

    wim: Path
    image: Image
    found: Listing


@dataclass(frozen=True, slots=True)
class WindowsBuild:
    """One build in ``folder``, an empty folder of its own.

    ``agents`` holds the guest's binaries; ``iso`` has Windows, ``virtio`` the drivers; ``index`` is that
    of the image.
    """

    recipe: WindowsRecipe
    agents: Path
    folder: Path
    report: Report
    iso: Path
    virtio: Path
    index: int

    async def run(self) -> Manifest:
        """Make the part and its record in ``folder/out``. Raises LinwinError or OSError."""
        with room.told(self.folder):
            return await self._build()

    async def _build(self) -> Manifest:
        self._out.mkdir()
        source = await self._fetch_image()
        layout = disk.layout(self.recipe.disk_size_gib * room.GIB, source.image.size)
        drivers = await media.fetch_drivers(self.virtio, self.recipe, self._folder("drivers"), self._say)
        stored = driver_store.publish((driver.package for driver in drivers), source.found.paths)
        hives = await self._edit_hives(source, stored)
        added = self._added(stored, {driver.package.inf: driver.folder for driver in drivers})
        await self._make_c(source, layout, hives, added)
        await self._make_esp(source, layout)
        await self._make_disk(layout)
        return await asyncio.to_thread(self._record, source.image, stored)

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    @property
    def _c(self) -> Path:
        return self.folder / "c.ntfs"

    @property
    def _esp(self) -> Path:
        return self.folder / "esp.fat"

    async def _fetch_image(self) -> _Source:
        _, copy = await media.fetch_images(self.iso, self.recipe, self.folder, self._say)
        copy.chmod(0o644)
        images = await wim.images(copy)
        image = wim.choose(images, self.index, self.recipe.build, f"{self.recipe.image} of {self.iso.name}")
        room.check(self.folder, 3 * image.size, "build")  # C:, the disk and what becomes of it
        source = _Source(copy, image, Listing.of(await wim.listing(copy, image)))
        self._check_image(source)
        return source

    def _check_image(self, source: _Source) -> None:
        for path in _NEEDED:
            if not source.found.has(path):
                image = f"image {source.image.index} ({source.image.name})"
                raise InvalidRequest(
                    f"{image} cannot become a template: it has no {path}",
                    hint=f"this template is made from {self.recipe.source}",
                )

    async def _edit_hives(self, source: _Source, stored: tuple[Stored, ...]) -> Mapping[str, Path]:
        """Hives with drivers and the agent in them, by the paths that they replace."""
        self._say("Registering drivers and the agent")
        folder = self._folder("hives")
        paths = {name: source.found.spelled(f"{CONFIG}/{name}") for name in HIVES}
        await wim.extract(source.wim, source.image, tuple(paths.values()), folder)
        hives = {name: folder / path.rpartition("/")[2] for name, path in paths.items()}
        for path in hives.values():
            hive.check(path)
        await additions.register(hives, stored, source.found.paths)
        return {path: hives[name] for name, path in paths.items()}

    def _added(self, stored: tuple[Stored, ...], folders: Mapping[str, Path]) -> dict[str, Path]:
        """Files that Windows' image does not have, by the paths that they get."""
        added = additions.driver_files(stored, folders)
        added[additions.AGENT] = self.agents / agent_service.PROGRAM
        made = additions.first_start(stored, unattend.ANSWERS)
        for path, content in made.items():
            added[path] = self.folder / path.rpartition("/")[2]
            added[path].write_bytes(content)
        return added

    async def _make_c(
        self, source: _Source, layout: disk.Layout, hives: Mapping[str, Path], added: Mapping[str, Path]
    ) -> None:
        self._say("Adding drivers and the agent to the image")
        found = source.found
        spelled = {found.spelled(path): file for path, file in added.items()}
        await wim.add(source.wim, source.image, spelled)
        self._say("Writing C:")
        await disk.make_volume(self._c, layout, self.recipe.label)
        await wim.apply(source.wim, source.image, self._c)
        await disk.replace(self._c, hives)
        restore = self.folder / "descriptors"
        restore.write_bytes(additions.descriptors(found, spelled, unattend.ANSWERS))
        await disk.protect(self._c, restore)

    async def _make_esp(self, source: _Source, layout: disk.Layout) -> None:
        self._say("Writing the boot partition")
        tree, extracted = self.folder / "esp", self.folder / "boot"
        await wim.extract(source.wim, source.image, _boot_folders(source.found), extracted)
        boot = await asyncio.to_thread(_lay_out, extracted, tree)
        store = boot / "BCD"
        store.write_bytes(hive.empty("NewStoreRoot"))
        boots = bcd.Store(layout.disk, layout.esp, layout.windows, uuid4(), source.image.name)
        await hive.merge(store, bcd.edits(boots))
        await disk.make_esp(self._esp, tree)

    async def _make_disk(self, layout: disk.Layout) -> None:
        self._say("Putting the disk together")
        raw = self.folder / "disk.raw"
        await disk.assemble(raw, layout, esp=self._esp, c=self._c)
        await asyncio.to_thread(self._c.unlink)
        self._say("Compressing the disk")
        await disk.compress(raw, self._out / DISK)
        await asyncio.to_thread(raw.unlink)

    def _record(self, image: Image, stored: tuple[Stored, ...]) -> Manifest:
        self._say("Hashing the disk")
        packages = (one.package for one in stored)
        return record.write(
            self._out, self.recipe, image.name, image.os_version, packages, c_start=disk.C_START
        )

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _say(self, status: str) -> None:
        self.report(Progress(status, id=self.recipe.name))


def _lay_out(extracted: Path, tree: Path) -> Path:
    """Put what Windows boots with in its places on the boot partition; return the folder of most of it."""
    boot = tree / "EFI/Microsoft/Boot"
    boot.mkdir(parents=True)
    (tree / "EFI/Boot").mkdir()
    for folder in extracted.iterdir():
        # What lies in EFI belongs beside the boot store, fonts and resources into folders of theirs.
        into = boot if folder.name.lower() == "efi" else boot / folder.name
        shutil.copytree(folder, into, dirs_exist_ok=True)
    (loader,) = (path for path in boot.iterdir() if path.name.lower() == "bootmgfw.efi")
    # Firmware without a memory of what to start takes this name.
    shutil.copyfile(loader, tree / "EFI/Boot/bootx64.efi")
    return boot


def _boot_folders(found: Listing) -> tuple[str, ...]:
    paths = (f"{_BOOT}/{name}" for name in _BOOT_FOLDERS)
    return tuple(found.spelled(path) for path in paths if found.has(path))
