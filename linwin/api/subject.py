"""Which container a request is about: what the daemon logs while it is answered says so."""

from __future__ import annotations

from contextlib import AbstractContextManager

from aiohttp import web

from linwin.api.context import Handler, engine_of
from linwin.daemon_log import about
from linwin.errors import LinwinError

_CONTAINER = web.RequestKey("container", str)

FULL_ID = 64
"""Digits of a container's whole id."""


@web.middleware
async def name_container(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let every record of the request carry its container's id."""
    request[_CONTAINER] = await _container_id(request)
    with about_subject(request):
        return await handler(request)


def about_subject(request: web.Request) -> AbstractContextManager[None]:
    """What is logged of the request until the context ends carries the id, once it is known."""
    return about(request.get(_CONTAINER, ""))


async def _container_id(request: web.Request) -> str:
    """Empty for a request that is about none; one for a container that is none fails in its handler."""
    resource, reference = request.match_info.route.resource, request.match_info.get("id", "")
    if resource is None or not reference:
        return ""
    engine, noun = engine_of(request), resource.canonical.partition("/{id}")[0].rpartition("/")[2]
    try:
        if noun == "exec":
            return (await engine.exec_inspect(reference)).container_id
        if noun == "containers":
            return reference if _is_whole(reference) else (await engine.inspect(reference)).id
    except LinwinError:
        return ""
    return ""


def _is_whole(reference: str) -> bool:
    return len(reference) == FULL_ID and set(reference) <= set("0123456789abcdef")
