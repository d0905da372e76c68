"""A template as its recipe makes it, from ISOs of the tests' own, whose boot manager is a program of ours."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from linwin.model.template import Media, Template
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.unit.templates.windows import media
from tests.vm.efi import compiled

NAME = "nanoserver-2016"


def boot_manager(folder: Path, *definitions: str) -> Path:
    """Build our program; ``definitions`` are its own."""
    return compiled("bootmgfw.c", folder / "bootmgfw.efi", *definitions)


def build_template(folder: Path, paths: Paths, *definitions: str) -> Template:
    """Install a template with a small disk below ``paths``; ``definitions`` are the program's."""
    boot = boot_manager(folder, *definitions)
    recipe = folder / "recipes" / NAME
    shutil.copytree(media.REPOSITORY / "vm-templates" / NAME, recipe)
    text = (recipe / "template.yaml").read_text().replace("vioscsi, ", "").replace(", Balloon, viorng", "")
    (recipe / "template.yaml").write_text(text.replace("size_gib: 40", "size_gib: 2"))
    templates = InstalledTemplates(paths, recipes=recipe.parent, cache=folder / "cache")

    async def build() -> Template:
        given = Media(await media.windows_iso(folder, boot=boot), media.virtio_iso(folder))
        return await templates.build(NAME, lambda _: None, given)

    return asyncio.run(build())
