"""``/containers``: the verbs that have one answer. Those that stream are in :mod:`streams`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from aiohttp import web

from linwin.api import (
    endpoints,
    filters,
    hostconfig,
    mount_points,
    platforms,
    query,
    render,
    versions,
    wire,
)
from linwin.api.context import LIFETIME, PATHS, answer, answer_list, engine_of, version_of
from linwin.api.fields import Fields, body_of
from linwin.engine.usage import allocated
from linwin.errors import InvalidRequest, NotFound
from linwin.model.container import Container

WARNING = "Linwin-Warning"
"""Header with a sentence for the user, percent-encoded."""

LARGEST_NO_BODY = 7
"""Bytes of a start's body that say nothing yet, as docker counts; some clients send an empty object."""


async def create(request: web.Request) -> web.Response:
    """``POST /containers/create``: 201 with the id, and warnings about what was ignored."""
    platforms.check(versions.query_since(request, "platform", versions.PLATFORM_SINCE))
    body = versions.create((await body_of(request)).raw(), version_of(request))
    spec, warnings = wire.container_spec(Fields(body, "the request's body"))
    name = request.query.get("name") or None
    created = await request.app[LIFETIME].complete(engine_of(request).create(spec, name))
    return answer({"Id": created.id, "Warnings": [*created.warnings, *warnings]}, status=201)


async def start(request: web.Request) -> web.Response:
    """``POST /containers/{id}/start``: 204, or 304 when it was running.

    What its user should know of the start is in the header ``Linwin-Warning``:
    docker's answer has no place for it.
    """
    if request.body_exists and (request.content_length is None or request.content_length > LARGEST_NO_BODY):
        raise InvalidRequest(
            "starting container with non-empty request body was deprecated since API v1.22 "
            "and removed in v1.24",
            hint="Give a HostConfig to create instead.",
        )
    told: list[str] = []
    changed = await request.app[LIFETIME].complete(engine_of(request).start(_id(request), told.append))
    headers = {WARNING: quote("; ".join(told), safe=" ;:,()/'")} if told else {}
    return web.Response(status=204 if changed else 304, headers=headers)


async def stop(request: web.Request) -> web.Response:
    """``POST /containers/{id}/stop``: 204 once it is at rest, or 304 when it was."""
    timeout, signal = query.number(request, "t"), _signal(request)
    verb = engine_of(request).stop(_id(request), timeout=timeout, signal=signal)
    return web.Response(status=204 if await request.app[LIFETIME].complete(verb) else 304)


async def restart(request: web.Request) -> web.Response:
    """``POST /containers/{id}/restart``: 204 once it runs again."""
    timeout, signal = query.number(request, "t"), _signal(request)
    verb = engine_of(request).restart(_id(request), timeout=timeout, signal=signal)
    await request.app[LIFETIME].complete(verb)
    return web.Response(status=204)


async def pause(request: web.Request) -> web.Response:
    """``POST /containers/{id}/pause``: 204."""
    await request.app[LIFETIME].complete(engine_of(request).pause(_id(request)))
    return web.Response(status=204)


async def unpause(request: web.Request) -> web.Response:
    """``POST /containers/{id}/unpause``: 204."""
    await request.app[LIFETIME].complete(engine_of(request).unpause(_id(request)))
    return web.Response(status=204)


async def rename(request: web.Request) -> web.Response:
    """``POST /containers/{id}/rename``: 204."""
    await request.app[LIFETIME].complete(
        engine_of(request).rename(_id(request), request.query.get("name", ""))
    )
    return web.Response(status=204)


async def update(request: web.Request) -> web.Response:
    """``POST /containers/{id}/update``: 200 with warnings about what was ignored."""
    wanted, warnings = hostconfig.parse_update(await body_of(request))
    await request.app[LIFETIME].complete(engine_of(request).update(_id(request), wanted))
    return answer({"Warnings": list(warnings)})


async def kill(request: web.Request) -> web.Response:
    """``POST /containers/{id}/kill``: 204; docker's default is KILL."""
    signal = request.query.get("signal") or "SIGKILL"
    await request.app[LIFETIME].complete(engine_of(request).kill(_id(request), signal))
    return web.Response(status=204)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /containers/{id}``: 204."""
    if query.flag(request, "link"):
        raise InvalidRequest("linwin has no links to remove", hint="Leave out --link.")
    force, volumes = query.flag(request, "force"), query.flag(request, "v")
    await request.app[LIFETIME].complete(
        engine_of(request).remove(_id(request), force=force, volumes=volumes)
    )
    return web.Response(status=204)


async def resize(request: web.Request) -> web.Response:
    """``POST /containers/{id}/resize``: 200. Of one that is not started yet, for then."""
    await engine_of(request).resize(_id(request), *query.terminal_size(request))
    return web.Response(status=200)


async def inspect(request: web.Request) -> web.Response:
    """``GET /containers/{id}/json``, with ``size`` what its files take."""
    container = await engine_of(request).inspect(_id(request))
    sizes = await _sizes(request, container) if query.flag(request, "size") else {}
    engine = engine_of(request)
    log = str(request.app[PATHS].log(container.id))
    mounts = mount_points.listed(container, request.app[PATHS])
    networks = endpoints.settings(container, await engine.networks.all())
    execs = engine.execs.of(container.id)
    shown = render.inspection(container, execs, log, engine.health(container), networks, mounts)
    return answer(versions.container({**shown, **sizes}, version_of(request)))


async def list_some(request: web.Request) -> web.Response:
    """``GET /containers/json``: filtered, newest first."""
    engine = engine_of(request)
    wanted = query.filters(request, filters.CONTAINER_FILTERS)
    found = filters.containers(
        await engine.list(),
        wanted,
        everything=query.flag(request, "all"),
        limit=query.number(request, "limit") or 0,
        ancestors=await _image_ids(request, wanted.get("ancestor", ())),
        before=await _one(request, wanted, "before"),
        since=await _one(request, wanted, "since"),
    )
    with_size, networks = query.flag(request, "size"), await engine.networks.all()
    elements = []
    for one in found:
        shown = render.summary(one, networks, mount_points.listed(one, request.app[PATHS]))
        elements.append(json.dumps({**shown, **(await _sizes(request, one) if with_size else {})}))
    return answer_list(elements)


async def _one(request: web.Request, wanted: query.Filters, key: str) -> Container | None:
    names = wanted.get(key, ())
    if len(names) > 1:
        raise InvalidRequest(f"invalid filter '{key}'", hint="It takes one container.")
    return await engine_of(request).inspect(names[0]) if names else None


async def _image_ids(request: web.Request, references: tuple[str, ...]) -> frozenset[str]:
    """The ids of those images that exist; nothing descends from one that does not."""
    found = set()
    for reference in references:
        try:
            found.add((await engine_of(request).image(reference)).id)
        except NotFound:
            continue
    return frozenset(found)


async def _sizes(request: web.Request, container: Container) -> dict[str, Any]:
    own = allocated(request.app[PATHS].overlay(container.id))
    try:
        below = (await engine_of(request).image(container.image_id)).size
    except NotFound:  # an image removed by force
        below = 0
    return render.sizes(own, below)


def _signal(request: web.Request) -> str:
    return versions.query_since(request, "signal", versions.STOP_SIGNAL_SINCE)


def _id(request: web.Request) -> str:
    return request.match_info["id"]


ROUTES = (
    ("GET", "/containers/json", list_some),
    ("POST", "/containers/create", create),
    ("GET", "/containers/{id}/json", inspect),
    ("POST", "/containers/{id}/start", start),
    ("POST", "/containers/{id}/stop", stop),
    ("POST", "/containers/{id}/restart", restart),
    ("POST", "/containers/{id}/pause", pause),
    ("POST", "/containers/{id}/unpause", unpause),
    ("POST", "/containers/{id}/rename", rename),
    ("POST", "/containers/{id}/update", update),
    ("POST", "/containers/{id}/kill", kill),
    ("POST", "/containers/{id}/resize", resize),
    ("DELETE", "/containers/{id}", remove),
)
