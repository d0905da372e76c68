"""``/metrics``: for Prometheus, on the API's sockets and on a listener of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from linwin.api.context import ENGINE, engine_of
from linwin.api.status import failure
from linwin.engine.engine import Engine
from linwin.engine.metrics import exposition
from linwin.errors import LinwinError, Unavailable
from linwin.model.address import TcpAddress

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, which every version of it reads."""


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``: counters, times and states as Prometheus reads them (docs/metrics.md)."""
    body = await exposition(engine_of(request))
    return web.Response(body=body, headers={"Content-Type": TEXT_FORMAT})


MOST_CONNECTIONS = 64
"""Connections that the listener keeps. It asks nobody who they are, and descriptors are all containers'."""

SHUTDOWN_TIMEOUT = 0.5
"""Seconds that a client has to take its answer when the daemon ends."""


@asynccontextmanager
async def listening_for_metrics(engine: Engine, address: TcpAddress) -> AsyncIterator[None]:
    """Serve the metrics, and nothing else, to whoever connects, until the context ends."""
    app = web.Application()
    app[ENGINE] = engine
    app.router.add_get("/metrics", _alone)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        server = await _listen(runner, address)
        try:
            yield
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: TcpAddress) -> asyncio.Server:
    http = runner.server
    assert http is not None  # it was set up

    def accepted() -> asyncio.BaseProtocol:
        return _Refused() if len(http.connections) >= MOST_CONNECTIONS else http()

    try:
        return await asyncio.get_running_loop().create_server(accepted, address.host or None, address.port)
    except OSError as error:
        raise Unavailable(
            f"cannot serve metrics on {address}: {error.strerror or error}",
            hint="Choose an address of this host and a port that is free.",
        ) from error


class _Refused(asyncio.Protocol):
    """One connection too many: it is closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _alone(request: web.Request) -> web.Response:
    try:
        return await metrics(request)
    except LinwinError as error:
        return failure(error)


ROUTES = (("GET", "/metrics", metrics),)
