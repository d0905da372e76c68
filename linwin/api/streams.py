"""``/containers/{id}/attach``, ``logs`` and ``wait``: the verbs whose answers take their time."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import get_args
from urllib.parse import quote_plus

from aiohttp import web

from linwin.api import mux, query, versions
from linwin.api.context import engine_of, identity, version_of
from linwin.api.hijack import Hijacked, hijack
from linwin.api.outbox import send_all
from linwin.api.relay import cutting_off, detach_keys, exchange, feed
from linwin.api.render import rfc3339
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.container import LogQuery, LogRecord, WaitCondition

logger = logging.getLogger(__name__)


async def attach(request: web.Request) -> web.StreamResponse:
    """``POST /containers/{id}/attach``: the container's streams, which may not have begun yet."""
    engine, reference = engine_of(request), request.match_info["id"]
    container = await engine.inspect(reference)
    stdin = query.flag(request, "stdin")
    wanted = detach_keys(request.query.get("detachKeys", ""))
    keys = wanted if container.spec.tty else None
    attachment = await engine.attach(
        container.id,
        stdin=stdin,
        stdout=query.flag(request, "stdout"),
        stderr=query.flag(request, "stderr"),
        logs=query.flag(request, "logs"),
        stream=query.flag(request, "stream"),
    )
    try:
        kind = mux.content_type(tty=container.spec.tty, version=version_of(request))
        connection = await hijack(request, identity(), kind)
        once = container.spec.stdin_once and not container.spec.tty
        feeding = feed(connection, attachment, once=once, keys=keys) if stdin else None
        with cutting_off(connection.abort, f"container {container.short_id}"):
            await exchange(attachment, connection, feeding, framed=not container.spec.tty)
    finally:
        await attachment.detach()
    return Hijacked()


async def logs(request: web.Request) -> web.StreamResponse:
    """``GET /containers/{id}/logs``: what was logged, and with ``follow`` what will be."""
    wanted = LogQuery(
        stdout=query.flag(request, "stdout"),
        stderr=query.flag(request, "stderr"),
        follow=query.flag(request, "follow"),
        tail=query.tail(request),
        since=query.time_ns(request, "since"),
        until=query.time_ns(request, "until"),
    )
    if not (wanted.stdout or wanted.stderr):
        raise InvalidRequest(
            "Bad parameters: you must choose at least one stream", hint="Set stdout=1, stderr=1 or both."
        )
    engine = engine_of(request)
    container = await engine.inspect(request.match_info["id"])
    records = await engine.logs(container.id, wanted)
    response = web.StreamResponse()
    response.content_type = mux.content_type(tty=container.spec.tty, version=version_of(request))
    response.enable_chunked_encoding()
    await response.prepare(request)
    framed = not container.spec.tty
    decoration = Decoration(query.flag(request, "timestamps"), query.flag(request, "details"))
    try:
        await send_all(_rendered(records, decoration, framed=framed), response.write)
    except LinwinError as error:
        logger.warning("reading the log of %s: %s", container.short_id, error)
        await response.write(mux.frame("error", str(error).encode()))
    await response.write_eof()
    return response


@dataclass(frozen=True, slots=True)
class Decoration:
    """What stands before a logged line: its time, and what its log's options chose to go with it."""

    timestamps: bool
    details: bool

    def of(self, record: LogRecord) -> bytes:
        """Docker's form: the time, then ``name=value`` pairs by name, their special characters as in URLs."""
        words = [rfc3339(record.time_ns)] if self.timestamps else []
        if self.details:
            pairs = sorted(record.attributes.items())
            words.append(",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs))
        return "".join(f"{word} " for word in words).encode()


async def _rendered(
    records: AsyncIterator[LogRecord], decoration: Decoration, *, framed: bool
) -> AsyncGenerator[bytes, None]:
    """Logged lines as they are sent; of one that was logged in pieces only the first is decorated."""
    unfinished = {"stdout": False, "stderr": False}
    async for record in records:
        data = record.data
        if not unfinished[record.stream]:
            data = decoration.of(record) + data
        unfinished[record.stream] = not record.data.endswith(b"\n")
        yield mux.frame(record.stream, data) if framed else data


async def wait(request: web.Request) -> web.StreamResponse:
    """The head goes out once the wait is registered: ``docker run`` starts the container only then."""
    waits_for = versions.query_since(request, "condition", versions.WAIT_CONDITION_SINCE)
    condition = _condition(waits_for or "not-running")
    future = await engine_of(request).wait(request.match_info["id"], condition)
    response = web.StreamResponse()
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        exit_ = await future
    finally:
        future.cancel()
    answer = {"StatusCode": exit_.code, **({"Error": {"Message": exit_.error}} if exit_.error else {})}
    await response.write(json.dumps(answer).encode() + b"\n")
    await response.write_eof()
    return response


def _condition(text: str) -> WaitCondition:
    for condition in get_args(WaitCondition):
        if text == condition:
            found: WaitCondition = condition
            return found
    raise InvalidRequest(f'invalid condition: "{text}"', hint="Use not-running, next-exit or removed.")


ROUTES = (
    ("POST", "/containers/{id}/attach", attach),
    ("GET", "/containers/{id}/logs", logs),
    ("POST", "/containers/{id}/wait", wait),
)
