"""Counting and timing requests by route, and what becomes of them."""

from __future__ import annotations

from aiohttp import web

from linwin.api.context import Handler, engine_of

UNKNOWN = "(unknown)"
"""Stands for every route, and every method, that there is not."""


@web.middleware
async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request under its route. Around what answers errors: a client that hung up has no status."""
    method, route = operation_of(request)
    with engine_of(request).metrics.request(method, route) as answered:
        response = await handler(request)
        answered.code = str(response.status)
        return response


def failed(request: web.Request, error: BaseException) -> None:
    """Count an error of a request, also one that is told within its answer."""
    engine_of(request).metrics.failed(" ".join(operation_of(request)), error)


def operation_of(request: web.Request) -> tuple[str, str]:
    """Method and route, without the API's version and with names for what stands in the path."""
    route = request.match_info.route
    if route.resource is None:
        return UNKNOWN, UNKNOWN
    return route.method, route.resource.canonical.removeprefix("/v{version}")
