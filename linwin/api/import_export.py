"""File systems as tars: a container's comes out, and one that a client has becomes an image."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from linwin.api import platforms, progress, versions
from linwin.api.archives import scratch, spool
from linwin.api.commit import target_of
from linwin.api.context import engine_of
from linwin.api.outbox import send_tar
from linwin.model.build import CommitRequest
from linwin.model.progress import Progress, Report

BODY = "-"
"""What a client gives for ``fromSrc`` that sends the file system itself."""
OCTETS = "application/octet-stream"


async def export(request: web.Request) -> web.StreamResponse:
    """``GET /containers/{id}/export``: a tar of all that is on C:.

    An error before the first piece is a status; one after it can only break the connection off.
    """
    container = request.match_info["id"]
    async with engine_of(request).export(container) as archive:
        return await send_tar(request, archive.pieces, f"container {container}", content_type=OCTETS)


async def import_image(request: web.Request) -> web.StreamResponse:
    """``POST /images/create`` with ``fromSrc``: an image of one layer, which is whole before it is read."""
    platform = versions.query_since(request, "platform", versions.PULL_PLATFORM_SINCE)
    platforms.check(platform)
    source = request.query["fromSrc"]
    wanted = CommitRequest(
        reference=target_of(request),
        message=request.query.get("message", ""),
        changes=tuple(request.query.getall("changes", [])),
    )
    async with AsyncExitStack() as spooled:
        folder = await spooled.enter_async_context(scratch(request, "import-", "the uploaded archive"))
        archive = folder / "archive.tar"
        if source == BODY:
            await spool(request, archive)

        async def work(tell: Report) -> Iterable[progress.Line]:
            try:
                if source != BODY:
                    await _fetch(request, source, archive, tell)
                image = await engine_of(request).import_image(archive, wanted, platform)
            finally:
                await spooled.aclose()  # before the client hears that all is done
            return [{"status": image.id}]

        return await progress.stream(request, work)


async def _fetch(request: web.Request, source: str, archive: Path, tell: Report) -> None:
    address = source if "://" in source else f"http://{source}"  # as docker takes it
    tell(Progress(f"Downloading from {address}"))
    await engine_of(request).rooms.sources.fetch(address, archive)


ROUTES = (("GET", "/containers/{id}/export", export),)
