"""``/containers/{id}/exec`` and ``/exec``: programs beside a container's own."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from aiohttp import web

from linwin.api import mux, query, shapes, versions
from linwin.api.context import LIFETIME, answer, engine_of, identity, version_of
from linwin.api.fields import Fields, body_of
from linwin.api.hijack import Connection, Hijacked, hijack
from linwin.api.measure import failed
from linwin.api.relay import cutting_off, detach_keys, exchange, feed
from linwin.engine.engine import Attachment, Exec
from linwin.errors import InvalidRequest, LinwinError
from linwin.model.exec import ExecSpec

logger = logging.getLogger(__name__)


async def create(request: web.Request) -> web.Response:
    """``POST /containers/{id}/exec``: 201 with the exec's id."""
    spec = exec_spec(await body_of(request))
    if version_of(request) < versions.EXEC_SIZE_SINCE:
        spec = replace(spec, console_size=(0, 0))
    exec_ = await engine_of(request).exec_create(request.match_info["id"], spec)
    return answer({"Id": exec_.id}, status=201)


def exec_spec(body: Fields) -> ExecSpec:
    """What the client asked for. Raises InvalidRequest."""
    variables = body.texts("Env") or ()
    for variable in variables:
        if not variable or variable.startswith("="):
            raise InvalidRequest(f"invalid environment variable: {variable}", hint="Use NAME=value.")
    detach_keys(body.text("DetachKeys"))
    return ExecSpec(
        argv=body.words("Cmd") or (),
        env=variables,
        working_dir=body.text("WorkingDir"),
        user=body.text("User"),
        tty=body.flag("Tty"),
        attach_stdin=body.flag("AttachStdin"),
        attach_stdout=body.flag("AttachStdout"),
        attach_stderr=body.flag("AttachStderr"),
        privileged=body.flag("Privileged"),
        detach_keys=body.text("DetachKeys"),
        console_size=body.size("ConsoleSize"),
    )


async def start(request: web.Request) -> web.StreamResponse:
    """``POST /exec/{id}/start``: its streams, or with ``Detach`` 200 once it runs.

    What keeps it from running is told within the stream: the connection is taken over by then.
    """
    engine, body = engine_of(request), await body_of(request)
    shapes.check(body, shapes.EXEC_START)
    size = body.size("ConsoleSize")
    exec_ = await engine.exec_startable(request.match_info["id"])
    if body.flag("Detach"):
        await request.app[LIFETIME].complete(engine.exec_start(exec_, size))
        return web.Response(status=200)
    attachment = exec_.attach()
    try:
        kind = mux.content_type(tty=exec_.spec.tty, version=version_of(request))
        connection = await hijack(request, identity(), kind)
        with cutting_off(connection.abort, f"exec {exec_.id[:12]}"):
            await _begin(request, exec_, size, connection)
            await _exchange(exec_, attachment, connection)
    finally:
        await attachment.detach()
    return Hijacked()


async def _begin(request: web.Request, exec_: Exec, size: tuple[int, int], connection: Connection) -> None:
    try:
        await request.app[LIFETIME].complete(engine_of(request).exec_start(exec_, size))
    except LinwinError as error:
        logger.info("exec %s did not start: %s", exec_.id[:12], error.message)
        failed(request, error)
        sentence = str(error).replace("\n", "\r\n").encode() + b"\r\n"
        await connection.send(sentence if exec_.spec.tty else mux.frame("stdout", sentence))
        exec_.streams.end()


async def _exchange(exec_: Exec, attachment: Attachment, connection: Connection) -> None:
    tty = exec_.spec.tty
    keys = detach_keys(exec_.spec.detach_keys) if tty else None
    stdin = exec_.spec.attach_stdin
    feeding = feed(connection, attachment, once=not tty, keys=keys) if stdin else None
    await exchange(attachment, connection, feeding, framed=not tty)


async def inspect(request: web.Request) -> web.Response:
    """``GET /exec/{id}/json``: also of one that has ended, for some minutes."""
    return answer(rendered(await engine_of(request).exec_inspect(request.match_info["id"])))


def rendered(exec_: Exec) -> dict[str, Any]:
    """An exec in docker's JSON. ``Pid`` is always 0: there is no process of this host to name."""
    spec = exec_.spec
    return {
        "ID": exec_.id,
        "Running": exec_.running,
        "ExitCode": exec_.exit_code,
        "ProcessConfig": {
            "tty": spec.tty,
            "entrypoint": spec.argv[0],
            "arguments": list(spec.argv[1:]),
            "privileged": spec.privileged,
            "user": spec.user,
        },
        "OpenStdin": spec.attach_stdin,
        "OpenStderr": spec.attach_stderr,
        "OpenStdout": spec.attach_stdout,
        "CanRemove": exec_.exit_code is not None,
        "ContainerID": exec_.container_id,
        "DetachKeys": spec.detach_keys,
        "Pid": 0,
    }


async def resize(request: web.Request) -> web.Response:
    """``POST /exec/{id}/resize``: 200. Of one that is not started yet, for then."""
    await engine_of(request).exec_resize(request.match_info["id"], *query.terminal_size(request))
    return web.Response(status=200)


ROUTES = (
    ("POST", "/containers/{id}/exec", create),
    ("POST", "/exec/{id}/start", start),
    ("POST", "/exec/{id}/resize", resize),
    ("GET", "/exec/{id}/json", inspect),
)
