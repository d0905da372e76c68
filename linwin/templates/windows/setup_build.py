"""Builds a Windows template whose disk is written by Windows' own Setup, in a machine.

``SetupBuild._build`` is the table of contents. What comes before the machine and after it is done here,
offline; the machine is somebody else's, and is asked for. A disk that Setup has finished with is kept, for
whoever publishes the template to delete, unless it turned out not to be fit for one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.host import files, process
from linwin.model.installation import Installation
from linwin.model.progress import Progress, Report
from linwin.templates.manifest import DISK, Manifest
from linwin.templates.recipe import SetupRecipe
from linwin.templates.windows import (
    boot_disc,
    disk_file,
    installed_disk,
    media,
    record,
    room,
    setup_answers,
    setup_disc,
    unattend,
    wim,
)
from linwin.templates.windows.agent_service import PROGRAM
from linwin.templates.windows.disk import layout
from linwin.templates.windows.iso import Iso
from linwin.templates.windows.virtio import Driver
from linwin.templates.windows.wim import Image

Install = Callable[[Installation], Awaitable[None]]
"""Runs a machine until what is to be installed is on its disk. Raises LinwinError where it never is."""


@dataclass(frozen=True, slots=True)
class SetupBuild:
    """One build in ``folder``, an empty folder of its own.

    ``agents`` holds the guest's binaries; ``iso`` has Windows, ``virtio`` the drivers; ``index`` is that of
    the image, 0 for the recipe's choice; ``product_key`` may be empty. ``kept`` is where a disk lies that
    Setup has finished with, on the file system of ``folder``; what an earlier build left there is used.
    """

    recipe: SetupRecipe
    agents: Path
    folder: Path
    report: Report
    iso: Path
    virtio: Path
    index: int
    product_key: str
    kept: Path
    install: Install

    async def run(self) -> Manifest:
        """Make the part and its record in ``folder/out``. Raises LinwinError or OSError."""
        with room.told(self.folder):
            return await self._build()

    async def _build(self) -> Manifest:
        self._out.mkdir()
        drivers = await media.fetch_drivers(self.virtio, self.recipe, self._folder("drivers"), self._say)
        if self.kept.exists():
            self._say("Using the disk that Setup finished with before")
        else:
            opened, image = await self._choose_image()
            installation = await self._prepare(opened, image, drivers)
            await self.install(installation)
            await asyncio.to_thread(_keep, installation.disk, self.kept)
        return await self._finish(drivers)

    @property
    def _out(self) -> Path:
        return self.folder / "out"

    async def _choose_image(self) -> tuple[Iso, Image]:
        opened, copy = await media.fetch_images(self.iso, self.recipe, self.folder, self._say)
        images = await wim.images(copy)
        await asyncio.to_thread(copy.unlink)
        source = f"{self.recipe.image} of {self.iso.name}"
        index = self.index or self._index(images, source)
        image = wim.choose(images, index, self.recipe.build, source)
        if not image.language:
            raise InvalidRequest(
                f"image {image.index} of {source} does not say which language it speaks",
                hint=f"this template is made from {self.recipe.source}, as Microsoft ships it",
            )
        return opened, image

    def _index(self, images: tuple[Image, ...], source: str) -> int:
        recipe = self.recipe
        of_build = tuple(image for image in images if image.build == recipe.build)
        # Of another release, its first image is as good as any to say which release it is.
        return wim.matching(of_build or images, recipe.edition, recipe.installation, source).index

    async def _prepare(self, opened: Iso, image: Image, drivers: tuple[Driver, ...]) -> Installation:
        size = self.recipe.disk_size_gib * room.GIB
        layout(size, image.size)  # says when it cannot hold this Windows
        # The discs; what Setup writes; and while that is checked and compressed, both of these again.
        room.check(self.folder, self.iso.stat().st_size + 3 * image.size, "build")
        self._say(f"Copying {self.iso.name}, so that it starts without a key being pressed")
        windows, answers = self.folder / "windows.iso", self.folder / "answers.iso"
        await boot_disc.copy(opened, windows, self._folder("boot"))
        self._say("Writing the disc with the answers, the drivers and the agent")
        folders = {driver.folder.name: driver.folder for driver in drivers}
        await setup_disc.make(
            answers,
            self._folder("disc"),
            answers=setup_answers.answers(
                image, self.recipe.label, tuple(folders), unattend.password(), self.product_key
            ),
            clone_answers=unattend.answers(unattend.password(), keep_devices=True),
            agent=self.agents / PROGRAM,
            drivers=folders,
        )
        empty = self.folder / DISK
        await process.run(["qemu-img", "create", "-q", "-f", "qcow2", empty, str(size)], check=True)
        return Installation(self.recipe.name, empty, (windows, answers), self.recipe.setup_memory)

    async def _finish(self, drivers: tuple[Driver, ...]) -> Manifest:
        self._say("Looking at the disk that Setup has left")
        packages = tuple(driver.package for driver in drivers)
        wanted = installed_disk.Wanted(
            self.recipe.build, self.recipe.installation, packages, self.agents / PROGRAM
        )
        try:
            disk = await installed_disk.open_disk(self.kept)
            installed = await installed_disk.check(disk, wanted, self._folder("seen"))
        except InvalidRequest:
            await asyncio.to_thread(self.kept.unlink)  # it will not be another the next time
            raise
        self._say("Compressing the disk")
        await disk_file.join(disk, {}, self._out / DISK)
        self._say("Hashing the disk")
        windows = installed.windows
        return await asyncio.to_thread(
            record.write,
            self._out,
            self.recipe,
            f"{windows.product} {windows.edition}",
            windows.os_version,
            packages,
            c_start=installed.c_start,
        )

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _say(self, status: str) -> None:
        self.report(Progress(status, id=self.recipe.name))


def _keep(installed: Path, kept: Path) -> None:
    """Put a finished disk aside, so that it outlasts this build, and a loss of power. Raises OSError."""
    files.make_folders(kept.parent, mode=0o700)
    with installed.open("rb") as file:
        os.fsync(file.fileno())
    installed.rename(kept)
    files.sync_folder(kept.parent)
