"""A root to build Windows templates in, and what must be left of a build that failed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from linwin.errors import LinwinError
from linwin.model.progress import Progress
from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates, manifest
from tests.unit.templates.windows import media
from tests.unit.templates.windows.spoil import fingerprint

_RECIPES = media.REPOSITORY / "vm-templates"
NAME = "nanoserver-2016"
PHASES = (
    "Reading",
    "Looking for NanoServer/NanoServer.wim in WS2016.iso",
    "Copying NanoServer/NanoServer.wim out of WS2016.iso",
    "Choosing drivers in virtio-win.iso",
    "Registering drivers and the agent",
    "Adding drivers and the agent to the image",
    "Writing C:",
    "Writing the boot partition",
    "Putting the disk together",
    "Compressing the disk",
    "Hashing the disk",
    "Storing the build",
    "Installed",
)
"""What a build says, in order."""


class Place:
    """A root of its own, the recipe with a small disk and three drivers, and ISOs to build from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipes = folder / "recipes"
        shutil.copytree(_RECIPES / NAME, self.recipes / NAME)
        self.change("[viostor, vioscsi, vioserial, NetKVM, Balloon, viorng]", "[viostor, vioserial, NetKVM]")
        self.change("size_gib: 40", "size_gib: 2")
        root = folder / "root"
        self.templates = InstalledTemplates(
            Paths(root, root / "s"), recipes=self.recipes, agents=media.AGENTS, cache=folder / "cache"
        )
        self.said: list[str] = []

    def change(self, old: str, new: str) -> None:
        path = self.recipes / NAME / "template.yaml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def report(self, progress: Progress) -> None:
        if progress.status not in self.said:
            self.said.append(progress.status)

    async def build(self, iso: Path, virtio: Path, index: int = 0) -> Template:
        return await self.templates.build(NAME, self.report, Media(iso, virtio, index))

    async def import_disk(self, disk: Path, virtio: Path | None = None, name: str = "mine") -> Template:
        return await self.templates.import_disk(name, self.report, disk, virtio)

    async def import_refused(self, disk: Path, virtio: Path | None = None, name: str = "mine") -> LinwinError:
        """What a user is told; the disk stays as it was, and nothing of it stays here."""
        before = fingerprint(disk)
        with pytest.raises(LinwinError) as caught:
            await self.import_disk(disk, virtio, name)
        assert fingerprint(disk) == before
        await self.nothing_left()
        return caught.value

    async def refused(self, iso: Path, virtio: Path, index: int = 0) -> LinwinError:
        with pytest.raises(LinwinError) as caught:
            await self.build(iso, virtio, index)
        await self.nothing_left()
        return caught.value

    async def nothing_left(self) -> None:
        assert await self.templates.list() == []
        assert await self.templates.unusable() == []
        scratch = self.folder / "root/tmp"
        assert not scratch.exists() or list(scratch.iterdir()) == []
        cache = self.folder / "cache"
        kept = [path for path in cache.glob("*") if path.suffix != ".lock"]
        assert all((path / manifest.FILE).exists() for path in kept), kept  # a finished build may stay
