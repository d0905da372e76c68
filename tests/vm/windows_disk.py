"""A template as its recipe makes it, from ISOs of the tests' own, whose boot manager is a program of ours."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.unit.templates.windows import media

NAME = "nanoserver-2016"
_PROGRAM = Path(__file__).parent / "firmware/bootmgfw.c"
_COMPILER = (
    "x86_64-w64-mingw32-gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib",
    "-mno-red-zone", "-fno-stack-protector", "-Wl,--subsystem,10", "-e", "efi_main",
)  # fmt: skip


def boot_manager(folder: Path, *flags: str) -> Path:
    """Build our program; ``flags`` are for the compiler."""
    boot = folder / "bootmgfw.efi"
    media.run(*_COMPILER, *flags, "-o", boot, _PROGRAM)
    return boot


def build_template(folder: Path, paths: Paths, *flags: str) -> Template:
    """Install a template with a small disk below ``paths``; ``flags`` are the compiler's."""
    boot = boot_manager(folder, *flags)
    recipe = folder / "recipes" / NAME
    shutil.copytree(media.REPOSITORY / "vm-templates" / NAME, recipe)
    text = (recipe / "template.yaml").read_text().replace("vioscsi, ", "").replace(", Balloon, viorng", "")
    (recipe / "template.yaml").write_text(text.replace("size_gib: 40", "size_gib: 2"))
    templates = InstalledTemplates(paths, recipes=recipe.parent, cache=folder / "cache")

    async def build() -> Template:
        given = Media(await media.windows_iso(folder, boot=boot), media.virtio_iso(folder))
        return await templates.build(NAME, lambda _: None, given)

    return asyncio.run(build())
