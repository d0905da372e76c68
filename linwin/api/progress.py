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
from linwin.model.build import BuildOutput
from linwin.model.progress import Progress

logger = logging.getLogger(__name__)

FAILED = "long work failed"

LIMIT = 1 << 20
"""Characters of a build's output that wait for a slow client before its programs wait for it too."""

Line = Mapping[str, Any]
Work = Callable[["Pending"], Awaitable[Iterable[Line]]]
"""Long work: tells how it gets on while it runs and returns the lines that end the stream."""


class Pending:
    """Lines that the client has not got yet.

    A newer report on a thing replaces the older one, so a slow client costs
    one line a thing and not one a report. What programs print has no such bound:
    whoever passes it on waits for :meth:`room`.
    """

    def __init__(self) -> None:
        self._lines: dict[object, Line] = {}
        self._waiting = 0
        self._taken = asyncio.Event()
        self.changed = asyncio.Event()

    def __call__(self, told: BuildOutput | Progress, /) -> None:
        key = (told.id, told.status) if isinstance(told, Progress) and told.id else object()
        if isinstance(told, BuildOutput):
            self._waiting += len(told.text)
        self.add(key, line_of(told))

    def add(self, key: object, line: Line) -> None:
        """A line in the place of the one with an equal key that the client has not got yet."""
        self._lines[key] = line
        self.changed.set()

    async def room(self) -> None:
        """Wait until the client has taken enough of what was printed."""
        while self._waiting > LIMIT:
            self._taken.clear()
            await self._taken.wait()

    def take(self) -> list[Line]:
        self.changed.clear()
        lines, self._lines = list(self._lines.values()), {}
        self._waiting = 0
        self._taken.set()
        return lines


def line_of(told: BuildOutput | Progress) -> Line:
    """Docker's form of what work tells."""
    return _progress_line(told) if isinstance(told, Progress) else _output_line(told)


def _output_line(output: BuildOutput) -> Line:
    """``linwin`` says which step it is about: our own, which docker's clients do not look at."""
    line: dict[str, Any] = {"stream": output.text}
    if output.step:
        line["linwin"] = {"stage": output.stage, "step": output.step, "steps": output.steps}
    return line


def _progress_line(progress: Progress) -> Line:
    """Docker's clients draw a bar for an id with a current and a total."""
    line: dict[str, Any] = {"status": progress.status}
    if progress.id:
        line["id"] = progress.id
    if progress.id and not progress.heading:
        detail = {"current": progress.current, "total": progress.total}
        line["progressDetail"] = {name: value for name, value in detail.items() if value is not None}
    return line


async def stream(
    request: web.Request, work: Work, error_line: Callable[[LinwinError], Line] | None = None
) -> web.StreamResponse:
    """Run ``work`` and send what it tells.

    An error before the first line is raised, so that it becomes a status; later
    it is sent in the stream, as ``error_line`` has it. The work ends when the client goes away.
    """
    pending = Pending()
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    task = asyncio.ensure_future(work(pending))
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
    last = await _outcome(request, task, error_line or status_line, prepared=response.prepared)
    await _send(request, response, [*pending.take(), *last])
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


async def _outcome(
    request: web.Request,
    task: asyncio.Future[Iterable[Line]],
    error_line: Callable[[LinwinError], Line],
    *,
    prepared: bool,
) -> Iterable[Line]:
    try:
        return await task
    except LinwinError as error:
        if not prepared:
            raise
        failed(request, error)
        return [error_line(error)]
    except Exception as defect:
        if not prepared:
            raise
        failed(request, defect)
        logger.exception(FAILED)
        return [error_line(Internal("internal error", hint="The daemon's log says more."))]


def _hear(task: asyncio.Future[Iterable[Line]]) -> None:
    """Take notice of how the work ended whose client went away: nobody else does."""
    if task.cancelled() or (error := task.exception()) is None or isinstance(error, LinwinError):
        return
    logger.error(FAILED, exc_info=error)


def status_line(error: LinwinError) -> Line:
    """An error whose ``code`` is the status that it would have been."""
    detail: dict[str, Any] = {"code": status_of(error), "message": str(error)}
    if isinstance(error, Unauthorized):
        del detail["code"]  # for 401 docker's older clients say words of their own instead of ours
    return {"errorDetail": detail, "error": str(error)}


async def _send(request: web.Request, response: web.StreamResponse, lines: Iterable[Line]) -> None:
    for line in lines:
        if not response.prepared:
            await response.prepare(request)
        await response.write(json.dumps(line).encode() + b"\r\n")
