"""Docker's progress streams: one JSON object a line, in chunks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from linwin.api.measure import failed
from linwin.api.status import status_of
from linwin.errors import Internal, LinwinError, Unauthorized
from linwin.model.progress import Progress, Report

logger = logging.getLogger(__name__)

FAILED = "long work failed"

Line = Mapping[str, Any]
Work = Callable[[Report], Awaitable[Iterable[Line]]]
"""Long work: reports progress while it runs and returns the lines that end the stream."""


class _Pending:
    """Lines that the client has not got yet.

    A newer report on a thing replaces the older one, so a slow client costs
    one line a thing and not one a report.
    """

    def __init__(self) -> None:
        self._lines: dict[object, Line] = {}
        self.changed = asyncio.Event()

    def report(self, progress: Progress) -> None:
        key = (progress.id, progress.status) if progress.id else object()
        self._lines[key] = line_of(progress)
        self.changed.set()

    def take(self) -> list[Line]:
        self.changed.clear()
        lines, self._lines = list(self._lines.values()), {}
        return lines


def line_of(progress: Progress) -> Line:
    """Docker's form of a step; its clients draw a bar for an id with a current and a total."""
    line: dict[str, Any] = {"status": progress.status}
    if progress.id:
        line["id"] = progress.id
    if progress.id and not progress.heading:
        detail = {"current": progress.current, "total": progress.total}
        line["progressDetail"] = {name: value for name, value in detail.items() if value is not None}
    return line


async def stream(request: web.Request, work: Work) -> web.StreamResponse:
    """Run ``work`` and send what it reports.

    An error before the first line is raised, so that it becomes a status;
    later it is sent in the stream. The work ends when the client goes away.
    """
    pending = _Pending()
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    task = asyncio.ensure_future(work(pending.report))
    task.add_done_callback(lambda _: pending.changed.set())
    try:
        while not task.done():
            await pending.changed.wait()
            await _send(request, response, pending.take())
    except BaseException:  # the client went away
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        _hear(task)
        raise
    last = await _outcome(request, task, prepared=response.prepared)
    await _send(request, response, [*pending.take(), *last])
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


async def _outcome(
    request: web.Request, task: asyncio.Future[Iterable[Line]], *, prepared: bool
) -> Iterable[Line]:
    try:
        return await task
    except LinwinError as error:
        if not prepared:
            raise
        failed(request, error)
        return [_error_line(error)]
    except Exception as defect:
        if not prepared:
            raise
        failed(request, defect)
        logger.exception(FAILED)
        return [_error_line(Internal("internal error", hint="The daemon's log says more."))]


def _hear(task: asyncio.Future[Iterable[Line]]) -> None:
    """Take notice of how the work ended whose client went away: nobody else does."""
    if task.cancelled() or (error := task.exception()) is None or isinstance(error, LinwinError):
        return
    logger.error(FAILED, exc_info=error)


def _error_line(error: LinwinError) -> Line:
    detail: dict[str, Any] = {"code": status_of(error), "message": str(error)}
    if isinstance(error, Unauthorized):
        del detail["code"]  # for 401 docker's older clients say words of their own instead of ours
    return {"errorDetail": detail, "error": str(error)}


async def _send(request: web.Request, response: web.StreamResponse, lines: Iterable[Line]) -> None:
    for line in lines:
        if not response.prepared:
            await response.prepare(request)
        await response.write(json.dumps(line).encode() + b"\r\n")
