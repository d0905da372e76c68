"""A root to build templates in that Setup makes, and what stands for the machine that it runs in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from linwin.errors import LinwinError
from linwin.model.installation import Installation
from linwin.model.progress import Progress
from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates, manifest
from linwin.templates.windows.disk import C_START
from tests.unit.templates.windows import media
from tests.unit.templates.windows.media import run

NAME = "servercore-2022"
Machine = Callable[[Installation], Awaitable[None]]


class SetupPlace:
    """A root, the recipe with a small disk and three drivers, and the ISOs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        recipe = folder / "recipes" / NAME
        shutil.copytree(media.REPOSITORY / "vm-templates" / NAME, recipe)
        path = recipe / "template.yaml"
        text = path.read_text().replace("vioscsi, ", "").replace(", Balloon, viorng", "")
        path.write_text(text.replace("size_gib: 40", "size_gib: 2"))
        self.paths = Paths(folder / "root", folder / "root/s")
        self.templates = InstalledTemplates(
            self.paths, recipes=recipe.parent, agents=media.AGENTS, cache=folder / "cache"
        )
        self.virtio = media.virtio_iso(folder, system="2k22")
        self.said: list[str] = []
        self.given: list[Installation] = []

    def report(self, progress: Progress) -> None:
        if progress.status not in self.said:
            self.said.append(progress.status)

    async def build(self, iso: Path, machine: Machine, index: int = 0) -> Template:
        async def install(installation: Installation) -> None:
            self.given.append(installation)
            await machine(installation)

        return await self.templates.build(NAME, self.report, Media(iso, self.virtio, index), install)

    async def refused(self, iso: Path, machine: Machine, index: int = 0) -> LinwinError:
        with pytest.raises(LinwinError) as caught:
            await self.build(iso, machine, index)
        await self.nothing_is_registered()
        return caught.value

    async def nothing_is_registered(self) -> None:
        assert await self.templates.list() == await self.templates.unusable() == []
        assert list(self.paths.scratch.iterdir()) == []
        assert not list((self.folder / "cache").glob(f"*/{manifest.FILE}"))

    def kept(self) -> list[Path]:
        return list(self.paths.installed_disks.glob("*"))


def leaving(disk: Path) -> Machine:
    """A machine whose Setup leaves ``disk``."""

    async def machine(installation: Installation) -> None:
        await asyncio.to_thread(shutil.copyfile, disk, installation.disk)

    return machine


def on_c(disk: Path, folder: Path, edit: Callable[[Path], object]) -> Path:
    """A copy of a disk, on whose C: something was done."""
    raw, c, edited = folder / "raw", folder / "c", folder / "edited.qcow2"
    run("qemu-img", "convert", "-O", "raw", disk, raw)
    content = bytearray(raw.read_bytes())
    end = len(content) - (1 << 20)
    c.write_bytes(content[C_START:end])
    edit(c)
    content[C_START:end] = c.read_bytes()
    raw.write_bytes(content)
    run("qemu-img", "convert", "-O", "qcow2", raw, edited)
    return edited


async def never(_: Installation) -> None:
    raise AssertionError("no machine may be started for this")
