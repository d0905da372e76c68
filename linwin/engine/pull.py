"""pull: from a registry's manifest to an image whose chain is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from linwin.engine.create import unusable_template
from linwin.engine.load import take_in
from linwin.errors import NotFound, Unavailable
from linwin.model.image import Image
from linwin.model.progress import Progress, Report
from linwin.model.registry import Credentials, Pulled

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


async def pull(
    engine: Engine, reference: str, report: Report, credentials: Credentials | None = None
) -> Pulled:
    """Fetch an image and build its chain; it becomes visible when both are done.

    What a template *is* cannot be newer elsewhere: no registry is asked for it. Nor is
    one asked when there is no template that could run what it has: Unavailable is raised.
    """
    rooms = engine.rooms
    before = await _here(engine, reference)
    if before is not None and before.template is not None:
        return Pulled(before, reference, digest="", newer=False)
    templates = await rooms.templates.list()
    if not templates:
        raise await _nothing_to_run_on(engine)  # sooner than a registry says something else
    report = engine.metrics.counting(report)
    staged = await rooms.images.pull(reference, templates, report, credentials)
    name = _named(staged.image, reference)
    (image,) = await take_in(engine, [staged], report)
    for layer in image.layers:
        report(Progress("Pull complete", layer.digest.removeprefix("sha256:")[:12]))
    newer = before is None or before.id != image.id
    engine.events.image(image, "pull", repository(name), id=name)
    return Pulled(image, name, staged.digest, newer=newer, saved=staged.saved)


async def _nothing_to_run_on(engine: Engine) -> Unavailable:
    """Why no image can be of use here."""
    if spoilt := await unusable_template(engine):
        return Unavailable(
            f"the template {spoilt.name} cannot be used: {spoilt.reason}",
            hint=f"To run images, {spoilt.remedy}",
        )
    return Unavailable(
        "no template is installed, and images run on one",
        hint="Build one, which takes some minutes: linwin template build wine",
    )


async def _here(engine: Engine, reference: str) -> Image | None:
    """What the reference names before the pull."""
    try:
        return await engine.rooms.images.resolve(reference)
    except NotFound:
        return None


def repository(reference: str) -> str:
    """A reference without its tag and its digest."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


def _named(pulled: Image, reference: str) -> str:
    """What a pull calls its image, canonically: its tag, or its digest where it was pulled by that."""
    return next(iter(pulled.references or pulled.digests), reference)
