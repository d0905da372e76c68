"""The HTTP server: one application, its middleware, its socket."""

from __future__ import annotations

import grp
import logging
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from linwin.api import (
    archives,
    auth,
    checkpoints,
    containers,
    images,
    observe,
    prune,
    registry,
    streams,
    system,
    templates,
    unsupported,
    upkeep,
)
from linwin.api import exec as execs
from linwin.api.context import ENGINE, LIFETIME, MAX_VERSION, MIN_VERSION, PATHS, VERSION, Handler, identity
from linwin.api.lifetime import Lifetime
from linwin.api.status import error_response, failure
from linwin.engine.engine import Engine
from linwin.errors import Internal, InvalidRequest, LinwinError

logger = logging.getLogger(__name__)

LARGEST_JSON = 16 * 1024 * 1024
LARGEST_LINE = 64 * 1024  # of a request's head: filters and names travel in the query
BACKLOG = 1024
SHUTDOWN_TIMEOUT = 0.5  # seconds for answers that are being written
DRAIN_TIMEOUT = 60.0  # seconds for changes under way
SOCKET_GROUP = "linwin"
SOCKET_MODE = 0o660
MAX_SOCKET_PATH: Final = 107  # sun_path holds 108 bytes with its terminating zero (unix(7))

NOUNS = (
    system,
    auth,
    images,
    archives,
    registry,
    containers,
    execs,
    streams,
    observe,
    prune,
    upkeep,
    templates,
    checkpoints,
    unsupported,
)

_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")


def make_app(engine: Engine) -> web.Application:
    """The API of ``engine``; uploads are spooled in its root's scratch folder."""
    app = web.Application(middlewares=[_answer_errors, _check_version], client_max_size=LARGEST_JSON)
    app[ENGINE] = engine
    app[PATHS] = engine.paths
    app[LIFETIME] = Lifetime()
    app.on_response_prepare.append(_identify)
    app.cleanup_ctx.append(_finish_changes)
    for noun in NOUNS:
        for method, path, handler in noun.ROUTES:
            app.router.add_route(method, path, handler)
            app.router.add_route(method, f"/v{{version:[0-9][0-9.]*}}{path}", handler)
    return app


@asynccontextmanager
async def serve(engine: Engine, socket_path: Path) -> AsyncIterator[None]:
    """Serve the API on a unix socket, replacing a stale one, until the context ends.

    The caller holds the root's lock, so a socket that exists has no owner.
    Only root and, where it exists, the group ``linwin`` may connect. Changes
    under way when the context ends are completed first.
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
        await web.SockSite(runner, _bind(socket_path), backlog=BACKLOG).start()
        yield
    finally:
        await runner.cleanup()
        _unbind(socket_path)


def _unbind(path: Path) -> None:
    path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    """A bound socket that nobody can connect to before its mode is right, since it does not listen yet."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _unbind(path)
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            sock.bind(os.fspath(path))
        else:  # reach a path that does not fit into an address through its folder
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sock.bind(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        if (group := _socket_group()) is not None:
            os.chown(path, -1, group)
        path.chmod(SOCKET_MODE)
    except BaseException:
        sock.close()
        raise
    return sock


def _socket_group() -> int | None:
    try:
        return grp.getgrnam(SOCKET_GROUP).gr_gid if os.geteuid() == 0 else None
    except KeyError:
        return None


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
        return failure(error)
    except web.HTTPException as error:
        if error.status in (404, 405):
            return error_response(404, "page not found")
        return error_response(error.status, error.text or error.reason)
    except ConnectionError:
        raise
    except Exception:
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
