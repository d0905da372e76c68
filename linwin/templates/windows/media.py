"""What a recipe takes out of the two ISOs that a user gives: Windows' images, and drivers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.templates.recipe import IsoRecipe
from linwin.templates.windows import room
from linwin.templates.windows.iso import Iso, open_iso
from linwin.templates.windows.virtio import Driver, Wanted, read_drivers

Say = Callable[[str], None]


async def fetch_images(iso: Path, recipe: IsoRecipe, folder: Path, say: Say) -> tuple[Iso, Path]:
    """The opened ISO, and a copy in ``folder`` of the WIM file that the recipe is about.

    Raises InvalidRequest for an ISO without it, Unavailable for want of room.
    """
    say(f"Looking for {recipe.image} in {iso.name}")
    opened = await open_iso(iso)
    listed = opened.find(recipe.image)
    if listed is None:
        raise InvalidRequest(
            f"{iso} has no {recipe.image}", hint=f"this template is made from {recipe.source}"
        )
    room.check(folder, listed.size, "build")
    say(f"Copying {recipe.image} out of {iso.name}")
    (copy,) = await opened.extract((listed,), folder)
    return opened, copy


async def fetch_drivers(virtio: Path, recipe: IsoRecipe, folder: Path, say: Say) -> tuple[Driver, ...]:
    """The recipe's drivers, their files in the empty ``folder``. Raises Unsupported."""
    say(f"Choosing drivers in {virtio.name}")
    return await read_drivers(virtio, Wanted(recipe.drivers, recipe.systems, recipe.build), folder)
