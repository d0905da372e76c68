"""``/commit``: an image of what a container has become."""

from __future__ import annotations

from aiohttp import web

from linwin.api import networking, shapes
from linwin.api.context import LIFETIME, answer, engine_of
from linwin.api.fields import Fields, optional_body_of
from linwin.api.references import joined
from linwin.api.wire import environment_of, health_check_of
from linwin.errors import InvalidRequest
from linwin.model.build import CommitRequest
from linwin.model.image import RunConfig


async def commit(request: web.Request) -> web.Response:
    """``POST /commit``: 201 and the new image's id.

    One that runs stands still while its disk is copied, whatever ``pause`` says.
    """
    container = request.query.get("container", "")
    if not container:
        raise InvalidRequest("no container was named", hint="Use commit?container=NAME.")
    body = await optional_body_of(request)
    wanted = CommitRequest(
        reference=target_of(request),
        author=request.query.get("author", ""),
        message=request.query.get("comment", ""),
        changes=tuple(request.query.getall("changes", [])),
        # Here an empty text is no "false".
    )
    config = None if body is None else run_config(body)
    committing = engine_of(request).commit(container, wanted, config)
    image = await request.app[LIFETIME].complete(committing)
    return answer({"Id": image.id}, status=201)


def target_of(request: web.Request) -> str:
    """The reference that ``repo`` and ``tag`` make, empty where the new image is to have none."""
    repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
    return (joined(repository, tag) or repository) if repository else ""


def run_config(body: Fields) -> RunConfig:
    """What of a container's configuration an image keeps. Raises InvalidRequest."""
    shapes.check(body, shapes.CONTAINER_CONFIG)
    return RunConfig(
        entrypoint=body.words("Entrypoint") or (),
        cmd=body.words("Cmd") or (),
        env=environment_of(body),
        working_dir=body.text("WorkingDir"),
        user=body.text("User"),
        shell=body.texts("Shell") or (),
        labels=body.mapping("Labels"),
        exposed_ports=networking.exposed(body),
        volumes=body.keys("Volumes"),
        stop_signal=body.text("StopSignal"),
        health_check=health_check_of(body.object("Healthcheck")),
        args_escaped=body.flag("ArgsEscaped"),
        on_build=body.texts("OnBuild") or (),
    )


ROUTES = (("POST", "/commit", commit),)
