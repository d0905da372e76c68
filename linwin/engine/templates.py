"""Templates: built, imported and removed, with what is made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from linwin.errors import Conflict, LinwinError
from linwin.model.builds import best_first
from linwin.model.progress import Progress, Report
from linwin.model.template import Media, Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def build(engine: Engine, name: str, report: Report, media: Media) -> Template:
    """Build a template from its recipe, and its checkpoint."""
    template = await engine.rooms.templates.build(
        name, report, media, lambda installation: engine.installations.run(installation, report)
    )
    return await _take_in(engine, template, report)


async def import_disk(engine: Engine, name: str, report: Report, disk: Path, virtio: Path | None) -> Template:
    """Make a template of a user's disk, and its checkpoint where its kind has one of its own."""
    template = await engine.rooms.templates.import_disk(name, report, disk, virtio)
    return await _take_in(engine, template, report)


async def _take_in(engine: Engine, template: Template, report: Report) -> Template:
    rooms = engine.rooms
    await rooms.images.adopt_base_images(best_first(await rooms.templates.list()))
    await engine.checkpoints.prune(everything=False)  # of the build before
    if engine.checkpoints.wanted(template):
        try:
            await engine.checkpoints.make(template, report)
        except LinwinError as error:  # the template is good without one
            report(Progress(f"No checkpoint was made: {error}", id=template.name))
    return template


async def remove(engine: Engine, name: str) -> None:
    """Raises Conflict while a container uses it."""
    rooms = engine.rooms
    async with engine.creating:
        for container in await engine.list():
            if container.template == name:
                raise Conflict(
                    f"template {name} is in use by container {container.short_id}",
                    hint=f"Remove the container first: linwin rm {container.name}",
                )
        await rooms.templates.remove(name)
    await engine.checkpoints.prune(everything=False)
    await rooms.images.adopt_base_images(best_first(await rooms.templates.list()))
