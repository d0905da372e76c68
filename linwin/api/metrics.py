"""``/metrics``: for Prometheus, on the API's sockets and on a listener of its own."""

from __future__ import annotations

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


@asynccontextmanager
async def listening_for_metrics(engine: Engine, address: TcpAddress) -> AsyncIterator[None]:
    """Serve the metrics, and nothing else, to whoever connects, until the context ends."""
    app = web.Application()
    app[ENGINE] = engine
    app.router.add_get("/metrics", _alone)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await _listen(runner, address)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, address: TcpAddress) -> None:
    try:
        await web.TCPSite(runner, address.host or None, address.port).start()
    except OSError as error:
        raise Unavailable(
            f"cannot serve metrics on {address}: {error.strerror or error}",
            hint="Choose an address of this host and a port that is free.",
        ) from error


async def _alone(request: web.Request) -> web.Response:
    try:
        return await metrics(request)
    except LinwinError as error:
        return failure(error)


ROUTES = (("GET", "/metrics", metrics),)
