"""push: one tag of a repository, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linwin.engine.pull import repository
from linwin.errors import NotFound
from linwin.model.progress import Report
from linwin.model.registry import Credentials, Pushed

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def push(
    engine: Engine, reference: str, report: Report, credentials: Credentials | None, *, all_tags: bool
) -> list[Pushed]:
    """Copy images to their registry, one after the other.

    With ``all_tags`` the reference is a repository, and all that it has here is
    pushed. Raises NotFound in docker's words when that is nothing.
    """
    images = engine.rooms.images
    chosen = await images.tags(reference) if all_tags else [reference]
    if not chosen:
        raise NotFound(
            f"An image does not exist locally with the tag: {reference}",
            hint="List the images that are here with linwin images; name one with linwin tag.",
        )
    report = engine.metrics.counting(report)
    pushed = []
    for name in chosen:
        pushed.append(await images.push(name, report, credentials))
        engine.events.publish("image", "push", name, name=repository(name))
    return pushed
