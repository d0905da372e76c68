"""``/containers/{id}/archive``: files of a container as tar archives, what ``docker cp`` works with."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from linwin.api import query
from linwin.api.archives import scratch, spool
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.outbox import send_tar
from linwin.errors import InvalidRequest
from linwin.model.files import ChangeKind, FileStat, parse_path

logger = logging.getLogger(__name__)

STAT = "X-Docker-Container-Path-Stat"

KINDS: dict[ChangeKind, int] = {"modified": 0, "added": 1, "deleted": 2}
"""Docker's numbers."""

# Go's os.FileMode (package io/fs), as docker on Windows reports it.
MODE_DIRECTORY = 1 << 31
MODE_SYMLINK = 1 << 27
PERMISSIONS, FOLDER_PERMISSIONS, READ_ONLY = 0o666, 0o777, 0o444
NANOSECONDS = 10**9


async def stat(request: web.Request) -> web.Response:
    """``HEAD /containers/{id}/archive``: what lies at ``path``, in a header."""
    path = _path(request)
    found = await engine_of(request).archive_stat(request.match_info["id"], path)
    return web.Response(status=200, headers={STAT: stat_header(parse_path(path).base, found)})


async def changes(request: web.Request) -> web.Response:
    """``GET /containers/{id}/changes``: what differs from the image, of a container at rest."""
    found = await engine_of(request).changes(request.match_info["id"])
    return answer([{"Path": change.path, "Kind": KINDS[change.kind]} for change in found] or None)


async def read(request: web.Request) -> web.StreamResponse:
    """``GET /containers/{id}/archive``: a tar of what lies at ``path``.

    An error before the first piece is a status; one after it can only break the connection off.
    """
    path = _path(request)
    async with engine_of(request).archive_read(request.match_info["id"], path) as archive:
        headers = {STAT: stat_header(archive.base, archive.stat)}
        return await send_tar(request, archive.pieces, path, headers)


async def write(request: web.Request) -> web.Response:
    """``PUT /containers/{id}/archive``: unpack a tar in the folder at ``path``.

    The upload is spooled whole first, so that one that breaks off has changed
    nothing. ``copyUIDGID`` is accepted and without effect: Windows has neither.
    """
    path = _path(request)
    keep_kinds = query.flag(request, "noOverwriteDirNonDir")
    engine, container = engine_of(request), request.match_info["id"]
    await engine.inspect(container)  # an unknown one is told before gigabytes are sent
    async with AsyncExitStack() as spooled:
        folder = await spooled.enter_async_context(scratch(request, "copy-", "the uploaded archive"))
        await spool(request, folder / "upload.tar")
        change = engine.archive_write(container, path, folder / "upload.tar", keep_kinds=keep_kinds)
        # From here on the change needs the upload, also when its client hangs up.
        await request.app[LIFETIME].complete(_with(spooled.pop_all(), change))
    return web.Response(status=200)


async def _with(spooled: AsyncExitStack, change: Coroutine[Any, Any, None]) -> None:
    async with spooled:
        await change


def _path(request: web.Request) -> str:
    path = request.query.get("path", "")
    if not path:
        raise InvalidRequest("bad parameter: path cannot be empty", hint="Use archive?path=C:\\folder\\file.")
    return path


def stat_header(name: str, found: FileStat) -> str:
    """The value of the header: JSON in standard base64."""
    permissions = FOLDER_PERMISSIONS if found.is_directory else PERMISSIONS
    mode = permissions & (READ_ONLY if found.is_read_only and not found.is_directory else 0o777)
    mode |= MODE_DIRECTORY if found.is_directory else 0
    mode |= MODE_SYMLINK if found.link else 0
    value = {
        "name": name,
        "size": found.size,
        "mode": mode,
        "mtime": rfc3339(found.modified),
        "linkTarget": found.link,
    }
    return base64.b64encode(json.dumps(value).encode("utf-8", "surrogatepass")).decode()


def rfc3339(nanoseconds: int) -> str:
    """A time as Go's JSON has it; those before year 1 or after 9999, which it has not, are cut."""
    seconds, fraction = divmod(max(0, min(nanoseconds, 253402300799 * NANOSECONDS)), NANOSECONDS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction:09d}Z"


ROUTES = (
    ("HEAD", "/containers/{id}/archive", stat),
    ("GET", "/containers/{id}/archive", read),
    ("PUT", "/containers/{id}/archive", write),
    ("GET", "/containers/{id}/changes", changes),
)
