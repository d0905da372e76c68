"""archive: what docker cp asks for. Files come and go as tar archives, whether or not the container runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import pause, ready, sharing, start, stop
from linwin.engine.interfaces import Files
from linwin.errors import Conflict, InvalidRequest, NotFound, Unsupported, unreadable
from linwin.model.container import Container
from linwin.model.files import SPELLING, FileStat, VolumePath, parse_folder, parse_path

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

PLAIN = "plain.tar"


@dataclass(frozen=True, slots=True)
class Archive:
    """What a client asked for: what it is, and its tar in pieces."""

    stat: FileStat
    base: str
    pieces: AsyncGenerator[bytes, None]


async def stat(engine: Engine, reference: str, text: str) -> FileStat:
    path = parsed(text)
    with named(reference, text):
        async with opened(engine, reference, path) as (files, _):
            return await files.stat(path)


@asynccontextmanager
async def read(engine: Engine, reference: str, text: str) -> AsyncIterator[Archive]:
    path = parsed(text)
    with named(reference, text):
        async with opened(engine, reference, path) as (files, _):
            found = await files.stat(path)
            async with aclosing(_counted(engine, files.read(path))) as pieces:
                yield Archive(found, path.base, pieces)


async def _counted(engine: Engine, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(pieces):
        async for piece in pieces:
            engine.metrics.copy_bytes.labels("out").inc(len(piece))
            yield piece


async def write(engine: Engine, reference: str, text: str, source: Path, *, keep_kinds: bool) -> None:
    path = parsed(text, parse_folder)
    with named(reference, text):
        async with opened(engine, reference, path) as (files, running):
            if running is not None:
                # A guest's agent unpacks what has been found sound, so that nothing is half done.
                plain = source.with_name(PLAIN)
                await engine.rooms.disks.plain_copy(source, plain, engine.paths.overlay(running.id))
                source = plain
            await files.write(path, source, keep_kinds=keep_kinds)
            engine.metrics.copy_bytes.labels("in").inc(source.stat().st_size)


def parsed(text: str, parse: Callable[[str], VolumePath] = parse_path) -> VolumePath:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequest(str(error), hint=SPELLING) from error


@contextmanager
def named(reference: str, text: str) -> Iterator[None]:
    """Say of a missing file, in docker's words, which it is."""
    try:
        yield
    except MissingFile as error:
        raise NotFound(f"Could not find the file {text} in container {reference}") from error.__cause__


class MissingFile(Exception):
    """Nothing lies at the path."""


@asynccontextmanager
async def opened(
    engine: Engine, reference: str, path: VolumePath
) -> AsyncIterator[tuple[Files, Container | None]]:
    """The container's files; and the container where it runs, so that its guest has them open.

    ``path`` is what is asked for: of a container at rest it is refused where something is mounted.

    A container at rest is kept from starting meanwhile. One that runs is not kept
    from ending: what it then breaks off fails.
    """
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    async with AsyncExitStack() as held:
        await held.enter_async_context(live.lock)
        container = await stop.settle(engine, await engine.rooms.state.get(container.id))
        if live.run is not None:
            pause.refuse(container, "cp")
            files = live.run.guest.files
            await held.aclose()
            with missing_files():
                yield files, container
        else:
            _check_unmounted(engine, container, path)
            await disk_of(engine, container)
            with missing_files():
                yield engine.rooms.disks.files(engine.paths.overlay(container.id)), None


def _check_unmounted(engine: Engine, container: Container, path: VolumePath) -> None:
    """Raise Unsupported for what a container at rest has on the host: its own disk shows another."""
    wanted = "\\".join(("C:", *path.parts, "")).casefold()
    for mount in sharing.shared(container):
        if wanted.startswith(f"{mount.target}\\".casefold()):
            raise Unsupported(
                f"{mount.target} is mounted from the host, and container {container.name} does not run",
                hint=f"Start it, or use {sharing.source(engine, mount)} itself.",
            )


@contextmanager
def missing_files() -> Iterator[None]:
    """What is not found from here on is a file, and no container, image or template."""
    try:
        yield
    except NotFound as error:
        raise MissingFile from error


async def disk_of(engine: Engine, container: Container) -> None:
    """See to it that a container at rest has a disk: one that never started has none yet."""
    if container.status in ("removing", "dead") and not container.unreadable:
        raise Conflict(
            f"container {container.short_id} is marked for removal",
            hint=f"Finish its removal: linwin rm {container.name}",
        )
    if await asyncio.to_thread(engine.paths.overlay(container.id).exists):
        return
    if container.unreadable:
        raise unreadable(container.name, container.error)
    template = await engine.rooms.templates.get(container.template)
    await asyncio.to_thread(ready.make_folder, engine, container)
    await start.make_overlay(engine, container, template)
