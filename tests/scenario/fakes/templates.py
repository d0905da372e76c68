"""Templates that boot nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

from linwin.errors import NotFound, Unavailable
from linwin.model.installation import Installation
from linwin.model.progress import Progress, Report
from linwin.model.template import BaseImage, Media, Template, Unserved, Unusable


def wine(folder: Path) -> Template:
    return Template(
        name="wine",
        kind="wine",
        digest="sha256:" + "a" * 64,
        kernel=folder / "vmlinuz",
        initrd=folder / "initrd",
        cmdline="quiet",
        root_disk=folder / "root.erofs",
        c_disk=folder / "c.qcow2",
        minimum_memory=384,
        serves_any_build=True,
        provides=(
            BaseImage(
                references=(
                    "docker.io/microsoft/nanoserver:latest",
                    "mcr.microsoft.com/windows/nanoserver:latest",
                    "mcr.microsoft.com/windows/nanoserver:ltsc2022",
                ),
                os_version="10.0.14393.2363",
                user="ContainerAdministrator",
            ),
        ),
        left_out=(("powershell", "The wine template has no PowerShell; use a windows template."),),
        unserved=(
            Unserved(
                "IIS",
                "IIS is not part of the wine template; use a windows template",
                references=("mcr.microsoft.com/windows/servercore/iis", "docker.io/microsoft/iis"),
                commands=("servicemonitor w3svc",),
            ),
        ),
        summary="Console programs under Wine",
        size=123_456_789,
    )


class FakeTemplates:
    """``wine`` is installed; ``slow`` never finishes building, ``broken`` fails half-way.

    ``core`` is made by the ``installation`` that a test has set.
    """

    def __init__(self) -> None:
        self.installed = {"wine": wine(Path("/nowhere"))}
        self.spoilt: list[Unusable] = []
        self.building: set[str] = set()
        self.program: Path | None = None
        self.media: list[Media] = []
        self.imports: list[tuple[str, Path, Path | None]] = []
        self.installation: Installation | None = None

    async def list(self) -> list[Template]:
        return list(self.installed.values())

    async def unusable(self) -> list[Unusable]:
        return self.spoilt

    async def get(self, name: str) -> Template:
        if name not in self.installed:
            raise NotFound(f"No such template: {name}", hint=f"Build it first: linwin template build {name}")
        return self.installed[name]

    async def agent(self, system: Literal["linux", "windows"]) -> Path:
        if self.program is None:
            raise Unavailable(f"this linwin comes without the agent for {system}")
        return self.program

    async def build(
        self,
        name: str,
        report: Report,
        media: Media,
        install: Callable[[Installation], Awaitable[None]],
    ) -> Template:
        self.media.append(media)
        if name not in ("wine", "slow", "broken", "core"):
            raise NotFound(f"No such template: {name}", hint="Templates that can be built: wine")
        self.building.add(name)
        try:
            report(Progress("Fetching packages", "packages", 1, 2))
            await asyncio.sleep(0)
            if name == "broken":
                raise Unavailable("the package mirror did not answer", hint="Try again later.")
            if name == "core":
                assert self.installation is not None
                await install(self.installation)
            if name == "slow":
                await asyncio.get_running_loop().create_future()
        finally:
            self.building.discard(name)
        return self.installed["wine"]

    async def import_disk(self, name: str, report: Report, disk: Path, virtio: Path | None) -> Template:
        self.imports.append((name, disk, virtio))
        report(Progress("Copying C:", name))
        return self.installed["wine"]

    async def remove(self, name: str) -> None:
        await self.get(name)
        del self.installed[name]
