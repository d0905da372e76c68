"""``/volumes``: make them, look at them, remove them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from linwin.api import query, swarm, versions
from linwin.api.context import LIFETIME, PATHS, answer, engine_of, version_of
from linwin.api.fields import body_of
from linwin.api.filters import labelled, pattern
from linwin.api.prune import VOLUME_FILTERS, keeping
from linwin.api.render import rfc3339
from linwin.errors import NotFound, Unavailable
from linwin.model.mount import VOLUME_DRIVER, Volume
from linwin.paths import Paths

FILTERS = frozenset({"dangling", "driver", "label", "name"})


async def list_some(request: web.Request) -> web.Response:
    """``GET /volumes``: filtered, by name."""
    wanted = query.filters(request, FILTERS)
    engine, paths = engine_of(request), request.app[PATHS]
    used = (await engine.volumes.references()).keys()
    found = select(await engine.volumes.list(), wanted, used)
    return answer({"Volumes": [render(volume, paths) for volume in found], "Warnings": None})


async def inspect(request: web.Request) -> web.Response:
    """``GET /volumes/{name}``: one of them."""
    volume = await engine_of(request).volumes.find(_name(request))
    return answer(render(volume, request.app[PATHS]))


async def create(request: web.Request) -> web.Response:
    """``POST /volumes/create``: 201 with the volume, which may have been there before."""
    body = await body_of(request)
    if body.given("ClusterVolumeSpec"):
        raise Unavailable(swarm.NO_MANAGER, hint=swarm.HINT)
    name = body.text("Name")
    _check_driver(name, body.text("Driver"))
    made = engine_of(request).volumes.create(
        name, labels=body.mapping("Labels"), options=body.mapping("DriverOpts")
    )
    return answer(render(await request.app[LIFETIME].complete(made), request.app[PATHS]), status=201)


async def remove(request: web.Request) -> web.Response:
    """``DELETE /volumes/{name}``: 204, or 409 while a container uses it."""
    verb = engine_of(request).volumes.remove(_name(request), force=query.flag(request, "force"))
    await request.app[LIFETIME].complete(verb)
    return web.Response(status=204)


async def prune(request: web.Request) -> web.Response:
    """``POST /volumes/prune``: those that no container uses and, unless ``all`` is true, nobody named."""
    wanted = query.filters(request, VOLUME_FILTERS)
    everything = query.boolean_filter(wanted, "all") is True
    everything = everything or version_of(request) < versions.PRUNE_ANONYMOUS_SINCE
    keeps = keeping(wanted, time.time_ns())
    verb = engine_of(request).volumes.prune(
        lambda volume: keeps(volume.labels, volume.created_at), everything=everything
    )
    names, freed = await request.app[LIFETIME].complete(verb)
    return answer({"VolumesDeleted": list(names), "SpaceReclaimed": freed})


def _name(request: web.Request) -> str:
    return request.match_info["name"]


def _check_driver(name: str, driver: str) -> None:
    if driver not in ("", VOLUME_DRIVER):
        sentence = f'error looking up volume plugin {driver}: plugin "{driver}" not found'
        raise NotFound(
            f"create {name}: {sentence}" if name else sentence, hint=f"Use {VOLUME_DRIVER}, the default."
        )


def render(volume: Volume, paths: Paths) -> dict[str, Any]:
    """Docker's Volume; what has no labels or options has null, as docker's has."""
    return {
        "CreatedAt": rfc3339(volume.created_at),
        "Driver": VOLUME_DRIVER,
        "Labels": dict(volume.labels) or None,
        "Mountpoint": str(paths.volume(volume.name)),
        "Name": volume.name,
        "Options": dict(volume.options) or None,
        "Scope": "local",
    }


def select(volumes: Iterable[Volume], wanted: query.Filters, used: Iterable[str]) -> list[Volume]:
    """Those that docker's filters leave; ``used`` are the names of those that containers use."""
    names = [pattern("name", text) for text in wanted.get("name", ())]
    dangling, in_use = query.boolean_filter(wanted, "dangling"), frozenset(used)
    return [
        volume
        for volume in volumes
        if (not names or any(one.search(volume.name) for one in names))
        and ("driver" not in wanted or VOLUME_DRIVER in wanted["driver"])
        and (dangling is None or dangling is (volume.name not in in_use))
        and labelled(volume.labels, wanted.get("label", ()))
    ]


ROUTES = (
    ("GET", "/volumes", list_some),
    ("POST", "/volumes/create", create),
    ("POST", "/volumes/prune", prune),
    ("GET", "/volumes/{name:.+}", inspect),
    ("DELETE", "/volumes/{name:.+}", remove),
)
