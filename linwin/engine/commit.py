"""commit, export and import: containers become images, and their files archives."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import archive, load, pause, stop
from linwin.engine.build import changes
from linwin.engine.build.clock import rfc3339
from linwin.engine.build.config import check_platform
from linwin.engine.command import join, merge_env
from linwin.engine.create import template_for
from linwin.engine.live import Run
from linwin.errors import Conflict, NotFound, Unavailable, unreadable
from linwin.model.build import CommitRequest
from linwin.model.builds import best_first
from linwin.model.container import Container
from linwin.model.files import parse_folder
from linwin.model.image import HistoryEntry, Image, ImageDraft, RunConfig

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

WORK = "commit-"
LAYER = "layer.tar"
ROOT = parse_folder("C:")


async def commit(
    engine: Engine, reference: str, request: CommitRequest, config: RunConfig | None = None
) -> Image:
    """An image of a container's files and configuration; ``config`` and the request's changes come first.

    One that runs writes out what it has in memory and is halted while its disk is copied.
    """
    own = await changes.applied(engine, config or RunConfig(), request.changes)
    container = await engine.rooms.state.get(reference)
    parent = await image_of(engine, container)
    now = rfc3339(time.time_ns())
    async with work_folder(engine, WORK) as folder:
        layer = await write_layer(engine, container, folder / LAYER)
        draft = ImageDraft(
            config=merged(own, configured(container, parent)),
            entry=HistoryEntry(
                created=now,
                created_by=container.command_line or join(container.argv),
                author=request.author,
                comment=request.message,
                empty_layer=layer is None,
            ),
            created=now,
            author=request.author or parent.author,
        )
        image = await add_image(engine, parent, draft, layer, references(request.reference))
    engine.events.container(container, "commit", comment=request.message, imageID=image.id)
    return image


async def add_image(
    engine: Engine, parent: Image, draft: ImageDraft, layer: Path | None, names: Sequence[str]
) -> Image:
    """Store an image made here, with its chain, and make it visible."""
    staged = await engine.rooms.images.compose(parent, draft, layer, names)
    (image,) = await load.take_in(engine, [staged], engine.unreported)
    return image


async def write_layer(
    engine: Engine, container: Container, target: Path, latest: int | None = None
) -> Path | None:
    """What the container changed, written to ``target`` as a layer; None where that is nothing."""
    async with still(engine, container) as overlay:
        if overlay is None:
            return None
        return await layer_of(engine, overlay, container.template, target, latest)


async def layer_of(
    engine: Engine, overlay: Path, template: str, target: Path, latest: int | None = None
) -> Path | None:
    """What an overlay has that its chain has not, written to ``target``; None where that is nothing."""
    kind = (await engine.rooms.templates.get(template)).kind
    written = await engine.rooms.disks.layer(overlay, target, kind=kind, latest=latest)
    return None if written.is_empty else target


@asynccontextmanager
async def still(engine: Engine, container: Container) -> AsyncIterator[Path | None]:
    """An overlay that nobody writes to: the container's own, kept from starting, or a copy of it.

    None for a container that has no disk, as it never started.
    """
    live = engine.live(container.id)
    overlay = engine.paths.overlay(container.id)
    snapshot = overlay.with_name(f"snapshot-{secrets.token_hex(8)}.qcow2")  # of one commit of several
    async with live.lock:
        container = await stop.settle(engine, await engine.rooms.state.get(container.id))
        if container.unreadable:
            raise unreadable(container.name, container.error)
        if live.run is None:
            yield overlay if await asyncio.to_thread(overlay.exists) else None
            return
        await _take_snapshot(engine, container, live.run, snapshot)
    try:
        yield snapshot
    finally:
        await asyncio.to_thread(snapshot.unlink, missing_ok=True)


async def _take_snapshot(engine: Engine, container: Container, run: Run, snapshot: Path) -> None:
    if container.status == "paused":
        raise Conflict(
            f"container {container.name} is paused, and cannot write out what it has in memory",
            hint=f"Let it go on for the commit: linwin unpause {container.name}",
        )
    await run.guest.flush()
    try:
        await pause.halt(run)
        await engine.rooms.disks.copy(engine.paths.overlay(container.id), snapshot)
    finally:
        await run.wake()
        await pause.set_clock(container, run)


async def image_of(engine: Engine, container: Container) -> Image:
    """The image that a container was made from. Raises Conflict where it is gone."""
    try:
        return await engine.rooms.images.resolve(container.image_id)
    except NotFound as error:
        raise Conflict(
            f"the image of container {container.name} is not here any more",
            hint="Copy its files out with linwin cp, or bring the image back and commit again.",
        ) from error


def configured(container: Container, image: Image) -> RunConfig:
    """What a container was told of how it runs: its image's configuration, and its user's words over it."""
    spec, of_image = container.spec, image.config
    is_images_own = spec.entrypoint is None and (bool(of_image.entrypoint) or not spec.cmd)
    if spec.entrypoint is None:
        entrypoint, cmd = of_image.entrypoint, spec.cmd or of_image.cmd
    else:
        entrypoint, cmd = tuple(filter(None, spec.entrypoint)), spec.cmd or ()
    return dataclasses.replace(
        of_image,
        entrypoint=entrypoint,
        cmd=cmd,
        args_escaped=spec.args_escaped or (of_image.args_escaped and is_images_own),
        env=container.env,
        working_dir=spec.working_dir or of_image.working_dir,
        user=container.user,
        labels=container.labels,
        exposed_ports=container.exposed_ports,
        volumes=tuple(dict.fromkeys((*of_image.volumes, *spec.volumes))),
        stop_signal=spec.stop_signal,
        health_check=container.health_check,
        on_build=(),
    )


def merged(own: RunConfig, below: RunConfig) -> RunConfig:
    """``own`` where it says something, and ``below`` elsewhere: docker's rules for a commit."""
    takes_command = not own.entrypoint and not own.cmd
    return RunConfig(
        entrypoint=own.entrypoint or below.entrypoint,
        cmd=below.cmd if takes_command else own.cmd,
        args_escaped=below.args_escaped if takes_command else own.args_escaped,
        env=merge_env(below.env, own.env),
        working_dir=own.working_dir or below.working_dir,
        user=own.user or below.user,
        shell=own.shell or below.shell,
        labels={**below.labels, **own.labels},
        exposed_ports=tuple(dict.fromkeys((*below.exposed_ports, *own.exposed_ports))),
        volumes=tuple(dict.fromkeys((*below.volumes, *own.volumes))),
        stop_signal=own.stop_signal or below.stop_signal,
        health_check=own.health_check or below.health_check,
        on_build=own.on_build,
    )


@asynccontextmanager
async def work_folder(engine: Engine, prefix: str) -> AsyncIterator[Path]:
    """A folder for unfinished work, gone with all that is in it when the context ends."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=prefix, dir=engine.paths.scratch))
    try:
        yield folder
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder))


def references(name: str) -> tuple[str, ...]:
    return (name,) if name else ()


def export(engine: Engine, reference: str) -> AbstractAsyncContextManager[archive.Archive]:
    """A tar of all of a container's C:, without its mounts where it is at rest."""
    return archive.read(engine, reference, "C:\\.")


async def import_image(engine: Engine, source: Path, request: CommitRequest, platform: str) -> Image:
    """An image with an archive's files on the base image of a template.

    Windows without its own files runs nothing, so there is no image without a base.
    """
    check_platform(platform)
    config = await changes.applied(engine, RunConfig(), request.changes)
    base = await _base_image(engine)
    async with work_folder(engine, WORK) as folder:
        overlay = folder / "overlay.qcow2"
        template = await make_overlay(engine, base, overlay)
        await engine.rooms.disks.files(overlay).write(ROOT, source, keep_kinds=False)
        layer = await layer_of(engine, overlay, template, folder / LAYER)
        now = rfc3339(time.time_ns())
        entry = HistoryEntry(now, "", "", request.message or "Imported from -", empty_layer=layer is None)
        draft = ImageDraft(merged(config, base.config), entry, now, request.author)
        image = await add_image(engine, base, draft, layer, references(request.reference))
    engine.events.image(image, "import", image.id)
    return image


async def _base_image(engine: Engine) -> Image:
    """What the best template names first of all that it provides."""
    for template in best_first(await engine.rooms.templates.list()):
        for base in template.provides:
            return await engine.rooms.images.resolve(base.references[0])
    raise Unavailable(
        "no template is installed, and an imported image needs a base",
        hint="Build one, which takes some minutes: linwin template build wine",
    )


async def make_overlay(engine: Engine, image: Image, overlay: Path) -> str:
    """Make an overlay of the daemon's own on an image's chain; return the template's name."""
    template = await template_for(engine, image)
    async with engine.chains.using():
        _, chain_end = await engine.rooms.disks.chain(template, image.layers, engine.unreported)
        await engine.rooms.disks.overlay(chain_end, overlay, uid=0)
    return template.name
