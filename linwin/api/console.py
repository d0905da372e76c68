"""``/linwin/containers/{id}``: serial console and screen of its machine, linwin's extension."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from aiohttp import web

from linwin.api import mux, query
from linwin.api.context import engine_of, identity
from linwin.api.hijack import Connection, Hijacked, hijack
from linwin.api.outbox import send_all
from linwin.api.relay import cutting_off, detach_keys
from linwin.engine.interfaces import Line
from linwin.errors import LinwinError
from linwin.model.detach import DetachScanner


async def read(request: web.Request) -> web.StreamResponse:
    """``GET /linwin/containers/{id}/console``: what the guest wrote, and with ``follow`` what it will.

    It is text that moves no terminal's cursor, from the ``tail`` last lines on.
    """
    console = await engine_of(request).console(request.match_info["id"])
    text = console.read(last=query.tail(request), follow=query.flag(request, "follow"))
    response = web.StreamResponse()
    response.content_type, response.charset = "text/plain", "utf-8"
    response.enable_chunked_encoding()
    async with aclosing(text):
        first = await anext(text)  # an error before it is a status
        await response.prepare(request)
        with cutting_off(_abort(request), "a console"):
            await send_all(_encoded(first, text), response.write)
    await response.write_eof()
    return response


async def _encoded(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
    yield first.encode()
    async for piece in rest:
        yield piece.encode()


def _abort(request: web.Request) -> Callable[[], None]:
    return lambda: request.transport.abort() if request.transport is not None else None


async def attach(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/containers/{id}/console``: a terminal at the console, for one client at a time."""
    keys = detach_keys(request.query.get("detachKeys", ""))
    console = await engine_of(request).console(request.match_info["id"])
    return await _carry(request, await console.open(), DetachScanner(keys))


async def screenshot(request: web.Request) -> web.Response:
    """``GET /linwin/containers/{id}/screenshot``: what the screen shows, a PNG."""
    console = await engine_of(request).console(request.match_info["id"])
    return web.Response(body=await console.screenshot(), content_type="image/png")


async def screen(request: web.Request) -> web.StreamResponse:
    """``POST /linwin/containers/{id}/screen``: a VNC server of the screen, without a password of its own."""
    console = await engine_of(request).console(request.match_info["id"])
    return await _carry(request, await console.open_screen())


async def _carry(request: web.Request, line: Line, scanner: DetachScanner | None = None) -> Hijacked:
    """Join a client's connection with a line until either ends, or ``scanner`` finds the detach keys."""
    try:
        connection = await hijack(request, identity(), mux.RAW)
        with cutting_off(connection.abort, "a machine"):
            ways = [
                asyncio.create_task(_to_client(line, connection), name="line to client"),
                asyncio.create_task(_to_machine(line, connection, scanner), name="client to line"),
            ]
            try:
                done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
            for way in done:
                way.result()
            await connection.finish()
    finally:
        line.close()
    return Hijacked()


async def _to_client(line: Line, connection: Connection) -> None:
    while data := await line.receive():
        await connection.send(data)


async def _to_machine(line: Line, connection: Connection, scanner: DetachScanner | None) -> None:
    detached = False
    while not detached and (data := await connection.receive()):
        data, detached = scanner.scan(data) if scanner else (data, False)
        try:
            await line.send(data)
        except LinwinError:  # the machine has ended; what it sent before is on its way, and ends both
            connection.discard_input()
            await asyncio.get_running_loop().create_future()


ROUTES = (
    ("GET", "/linwin/containers/{id}/console", read),
    ("POST", "/linwin/containers/{id}/console", attach),
    ("GET", "/linwin/containers/{id}/screenshot", screenshot),
    ("POST", "/linwin/containers/{id}/screen", screen),
)
