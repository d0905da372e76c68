"""``attach/ws``: a container's streams over a websocket, for what has no raw sockets, as browsers.

Output is not framed: stdout and stderr are told apart only by asking for one of them. A
message that a client sends is input; that it closes the websocket is the end of its input.
"""

from __future__ import annotations

import asyncio
import codecs
import logging
from functools import partial

from aiohttp import WSMsgType, web

from linwin.api import query, versions
from linwin.api.context import engine_of, version_of
from linwin.api.hijack import LINGER
from linwin.api.relay import cutting_off, detach_keys
from linwin.engine.streams import Attachment
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.detach import DetachScanner

logger = logging.getLogger(__name__)

LARGEST_MESSAGE = 4 * 1024 * 1024
"""Bytes of input that a client may send as one message."""


async def attach(request: web.Request) -> web.StreamResponse:
    """``GET /containers/{id}/attach/ws``: the streams as messages; they may not have begun yet."""
    engine, chooses = engine_of(request), version_of(request) >= versions.WEBSOCKET_CHOICE_SINCE
    container = await engine.inspect(request.match_info["id"])
    keys = detach_keys(request.query.get("detachKeys", ""))
    socket = web.WebSocketResponse(timeout=LINGER, compress=False, max_msg_size=LARGEST_MESSAGE)
    if not socket.can_prepare(request).ok:
        raise InvalidRequest(
            "the request does not ask for a websocket",
            hint="Use POST /containers/{id}/attach for raw streams.",
        )
    attachment = await engine.attach(
        container.id,
        stdin=query.flag(request, "stdin") or not chooses,
        stdout=query.flag(request, "stdout") or not chooses,
        stderr=query.flag(request, "stderr") or not chooses,
        logs=query.flag(request, "logs"),
        stream=query.flag(request, "stream"),
    )
    try:
        await socket.prepare(request)
        scanner = DetachScanner(keys) if container.spec.tty else None
        text = version_of(request) < versions.WEBSOCKET_BINARY_SINCE
        with cutting_off(partial(_abort, request), f"container {container.short_id}"):
            await _converse(socket, attachment, scanner, text=text, name=container.short_id)
    finally:
        await attachment.detach()
    return socket


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _converse(
    socket: web.WebSocketResponse,
    attachment: Attachment,
    scanner: DetachScanner | None,
    *,
    text: bool,
    name: str,
) -> None:
    """Until the output ends, the client closes, or it detaches; then the websocket is closed."""
    feeding = asyncio.create_task(_feed(socket, attachment, scanner), name=f"websocket input of {name}")
    try:
        await _send(socket, attachment, text=text)
    except LinwinError as error:  # of a log that cannot be read
        logger.warning("the websocket of container %s was cut off: %s", name, error)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])
    await socket.close()


async def _send(socket: web.WebSocketResponse, attachment: Attachment, *, text: bool) -> None:
    """``text`` replaces what is no UTF-8; characters that come in two pieces stay whole."""
    decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
    async for stream, data in attachment:
        if not text:
            await socket.send_bytes(data)
        elif characters := decoders[stream].decode(data):
            await socket.send_str(characters)
    for decoder in decoders.values():
        if not socket.closed and (rest := decoder.decode(b"", final=True)):
            await socket.send_str(rest)


async def _feed(socket: web.WebSocketResponse, attachment: Attachment, scanner: DetachScanner | None) -> None:
    """Pass messages on as input, and read on where there is none, so that the client's close is seen."""
    detached = False
    try:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            data, detached = scanner.scan(data) if scanner else (data, False)
            if data:
                await attachment.write(data)
            if detached:
                break
        if not detached:
            await attachment.close_stdin()
    except LinwinError as error:  # the guest is lost, which ends the output too
        logger.info("input ended: %s", error)
    finally:
        await attachment.detach()


ROUTES = (("GET", "/containers/{id}/attach/ws", attach),)
