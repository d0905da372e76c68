"""``/volumes``: there are none.

They can be listed and looked for, since clients do so by routine: compose looks for
a project's before it takes it down. What makes one is refused in :mod:`unsupported`.
"""

from __future__ import annotations

from aiohttp import web

from linwin.api import query
from linwin.api.context import answer
from linwin.errors import NotFound

FILTERS = frozenset({"dangling", "driver", "label", "name"})


async def list_some(request: web.Request) -> web.StreamResponse:
    """``GET /volumes``: none."""
    query.filters(request, FILTERS)
    return answer({"Volumes": [], "Warnings": None})


async def missing(request: web.Request) -> web.StreamResponse:
    """One volume: 404 in docker's words."""
    raise NotFound(f"get {request.match_info['name']}: no such volume")


ROUTES = (
    ("GET", "/volumes", list_some),
    ("GET", "/volumes/{name:.+}", missing),
    ("PUT", "/volumes/{name:.+}", missing),
    ("DELETE", "/volumes/{name:.+}", missing),
)
