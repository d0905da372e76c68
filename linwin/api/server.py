"""The HTTP server: one application, its middleware, its socket."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from linwin.api import (
    archives,
    auth,
    build,
    checkpoints,
    commit,
    console,
    container_files,
    containers,
    events,
    images,
    import_export,
    metrics,
    networks,
    observe,
    prune,
    registry,
    streams,
    swarm,
    system,
    templates,
    upkeep,
    verification,
    volumes,
    websocket,
)
from linwin.api import exec as execs
from linwin.api.context import ENGINE, LIFETIME, MAX_VERSION, MIN_VERSION, PATHS, VERSION, Handler, identity
from linwin.api.lifetime import Lifetime
from linwin.api.measure import failed, measure
from linwin.api.status import error_response, failure
from linwin.api.subject import about_subject, name_container
from linwin.api.tls import Accept, TlsAddress, listening
from linwin.api.unix import unix_socket
from linwin.engine.engine import Engine
from linwin.errors import Internal, InvalidRequest, LinwinError
from linwin.model.address import TcpAddress

logger = logging.getLogger(__name__)

LARGEST_JSON = 16 * 1024 * 1024
TOO_LARGE = f"the request's body is larger than {LARGEST_JSON} bytes\nNo request of docker's is that large."
LARGEST_LINE = 64 * 1024  # of a request's head: filters and names travel in the query
BACKLOG = 1024
SHUTDOWN_TIMEOUT = 0.5  # seconds for answers that are being written
DRAIN_TIMEOUT = 60.0  # seconds for changes under way

NOUNS = (
    system,
    metrics,
    auth,
    images,
    archives,
    registry,
    build,
    commit,
    import_export,
    containers,
    container_files,
    networks,
    execs,
    streams,
    console,
    websocket,
    events,
    observe,
    prune,
    upkeep,
    templates,
    verification,
    checkpoints,
    swarm,
    volumes,
)

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


def make_app(engine: Engine) -> web.Application:
    """The API of ``engine``; uploads are spooled in its root's scratch folder."""
    app = web.Application(
        middlewares=[measure, _answer_errors, name_container, _check_version], client_max_size=LARGEST_JSON
    )
    app[ENGINE] = engine
    app[PATHS] = engine.paths
    app[LIFETIME] = Lifetime()
    app.on_response_prepare.append(_identify)
    app.cleanup_ctx.append(_finish_changes)
    for noun in NOUNS:
        for method, path, handler in noun.ROUTES:
            # As docker's: a name with slashes is nobody's, and is answered as any other unknown name is.
            path = path.replace("/containers/{id}", "/containers/{id:.+}")
            app.router.add_route(method, path, handler)
            app.router.add_route(method, f"/v{{version:[0-9][0-9.]*}}{path}", handler)
    return app


@asynccontextmanager
async def serve(
    engine: Engine, socket_path: Path, tls: TlsAddress | None = None, metrics_at: TcpAddress | None = None
) -> AsyncIterator[None]:
    """Serve the API on a unix socket, and where asked for over TLS, until the context ends.

    The metrics are also served at ``metrics_at``.

    The socket is the one that a service manager passed, or is made at its path.
    Changes under way when the context ends are completed first.
    """
    runner = web.AppRunner(
        make_app(engine),
        access_log=None,
        handler_cancellation=True,
        max_line_size=LARGEST_LINE,
        max_field_size=LARGEST_LINE,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
    )
    await runner.setup()
    try:
        async with AsyncExitStack() as fronts:
            sock = fronts.enter_context(unix_socket(socket_path))
            await web.SockSite(runner, sock, backlog=BACKLOG).start()
            if tls is not None:
                await fronts.enter_async_context(listening(tls, _accepting(runner)))
            if metrics_at is not None:
                await fronts.enter_async_context(metrics.listening_for_metrics(engine, metrics_at))
            yield
            await runner.cleanup()
    finally:
        await runner.cleanup()


def _accepting(runner: web.AppRunner) -> Accept:
    server = runner.server
    assert server is not None  # it was set up
    return lambda sock: asyncio.get_running_loop().connect_accepted_socket(server, sock)


async def _finish_changes(app: web.Application) -> AsyncIterator[None]:
    yield
    await app[LIFETIME].drain(DRAIN_TIMEOUT)


async def _identify(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(identity())


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes docker's error body, unless its response has begun already."""
    try:
        return await handler(request)
    except LinwinError as error:
        failed(request, error)
        return failure(error)
    except web.HTTPException as error:
        if error.status in (404, 405):
            return error_response(404, "page not found")
        if error.status == 413:
            return error_response(413, TOO_LARGE)
        return error_response(error.status, error.text or error.reason)
    except ConnectionError:
        raise
    except Exception as defect:
        failed(request, defect)
        with about_subject(request):
            logger.exception("%s %s failed", request.method, request.path)
        return failure(Internal("internal error", hint="The daemon's log says more."))


@web.middleware
async def _check_version(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse versions out of range in docker's words; a path without one means the newest."""
    text = request.match_info.get("version")
    if text is not None:
        request[VERSION] = _requested_version(text)
    return await handler(request)


def _requested_version(text: str) -> tuple[int, int]:
    match = _VERSION.fullmatch(text)
    if not match:
        raise InvalidRequest(f"invalid API version {text}", hint="Use a path such as /v1.50/info.")
    version = int(match[1]), int(match[2])
    if version > MAX_VERSION:
        newest = ".".join(map(str, MAX_VERSION))
        raise InvalidRequest(
            f"client version {text} is too new. Maximum supported API version is {newest}",
            hint=f"Set DOCKER_API_VERSION={newest}.",
        )
    if version < MIN_VERSION:
        oldest = ".".join(map(str, MIN_VERSION))
        raise InvalidRequest(
            f"client version {text} is too old. Minimum supported API version is {oldest}, "
            "please upgrade your client to a newer version"
        )
    return version
