"""Images as files: load, save, and linwin's own ``disk``. What travels is spooled where it must be whole."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from aiohttp import web

from linwin.api import platforms, progress, query
from linwin.api.context import PATHS, engine_of
from linwin.api.outbox import send_tar
from linwin.api.render import familiar
from linwin.errors import InvalidRequest, Unavailable
from linwin.model.image import Image
from linwin.model.progress import Progress, Report

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PIECE = 1024 * 1024


async def load(request: web.Request) -> web.StreamResponse:
    """``POST /images/load``: the whole upload is spooled before the first progress."""
    quiet = query.flag(request, "quiet")
    async with scratch(request, "load-", "the uploaded archive") as folder:
        archive = folder / "archive.tar"
        await spool(request, archive)

        async def work(report: Report) -> Iterable[progress.Line]:
            try:
                loaded = await engine_of(request).load(archive, _ignore if quiet else report)
            finally:
                await _delete(folder)  # before the client hears that all is done
            return [{"stream": f"Loaded image: {name}\n"} for image in loaded for name in _names(image)]

        return await progress.stream(request, work)


def _ignore(_: Progress) -> None:
    """A Report for a client that wants no progress."""


def _names(image: Image) -> list[str]:
    return [familiar(reference) for reference in image.references] or [image.id]


@asynccontextmanager
async def scratch(request: web.Request, prefix: str, what: str) -> AsyncIterator[Path]:
    """A folder for one request. Raises Unavailable where ``what`` cannot be stored."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=request.app[PATHS].scratch))
    except OSError as error:
        raise _cannot_store(what, error) from error
    try:
        yield folder
    finally:
        await _delete(folder)


async def _delete(folder: Path) -> None:
    """Delete in a thread, since a file of gigabytes takes its time. Idempotent."""
    await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


async def spool(request: web.Request, archive: Path) -> None:
    """Store the whole body of a request. Raises Unavailable where there is no room."""
    try:
        with archive.open("wb", buffering=0) as file:
            async for piece in request.content.iter_chunked(PIECE):
                await in_thread(_write_all, file.fileno(), piece)
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        raise _cannot_store("the uploaded archive", error) from error


async def in_thread(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Do blocking work to its end even when the caller is cancelled.

    What it works on may be closed afterwards: no thread is left that would take
    a descriptor of the same number for it.
    """
    task = asyncio.create_task(asyncio.to_thread(work, *arguments, **options))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _cannot_store(what: str, error: OSError) -> Unavailable:
    return Unavailable(
        f"cannot store {what}: {error.strerror}", hint="Free some space under LINWIN_ROOT and try again."
    )


async def save(request: web.Request) -> web.StreamResponse:
    """``GET /images/get`` and ``GET /images/{name}/get``: an archive, sent as it is made."""
    platforms.check(request.query.get("platform", ""))
    name = request.match_info.get("name")
    references = [name] if name else request.query.getall("names", [])
    if not all(references) or not references:
        raise InvalidRequest("no image was named", hint="Use get?names=NAME&names=NAME.")
    return await _send_archive(request, references)


async def _send_archive(request: web.Request, references: Sequence[str]) -> web.StreamResponse:
    async with aclosing(engine_of(request).save(references)) as pieces:
        return await send_tar(request, pieces, ", ".join(references))


async def disk(request: web.Request) -> web.StreamResponse:
    """``GET /linwin/images/{name}/disk``: the image's C: as one qcow2, whole before it is sent."""
    async with scratch(request, "disk-", "the image's disk") as folder:
        target = folder / "disk.qcow2"
        await engine_of(request).disk(request.match_info["name"], target, _ignore)
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return await _send_file(request, descriptor)  # its name is gone: no end of ours leaves it behind
    finally:
        os.close(descriptor)


async def _send_file(request: web.Request, descriptor: int) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/octet-stream"
    response.content_length = os.fstat(descriptor).st_size
    await response.prepare(request)
    while piece := await in_thread(os.read, descriptor, PIECE):
        await response.write(piece)
    await response.write_eof()
    return response


ROUTES = (
    ("POST", "/images/load", load),
    ("GET", "/images/get", save),
    ("GET", "/images/{name:.+}/get", save),
    ("GET", "/linwin/images/{name:.+}/disk", disk),
)
