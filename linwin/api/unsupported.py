"""Docker's routes that linwin does not serve, so that a refusal names what was asked for.

Routes that are in no table answer "page not found", as docker's do.
"""

from __future__ import annotations

from aiohttp import web

from linwin.api.context import Handler
from linwin.errors import NotFound, Unsupported

_LATER = "This version of linwin does not have it."

_REFUSALS = (
    ("GET", "/containers/{id}/changes", "docker diff", _LATER),
    ("GET", "/containers/{id}/export", "docker export", _LATER),
    ("GET", "/distribution/{name:.+}/json", "the inspection of images in registries", "Pull the image."),
    ("POST", "/build", "docker build", "Build the image elsewhere and load it: linwin load."),
    ("POST", "/commit", "docker commit", _LATER),
    ("GET", "/volumes", "volumes", _LATER),
    ("POST", "/volumes/create", "volumes", _LATER),
    ("PUT", "/volumes/{name}", "volumes", _LATER),
    ("GET", "/containers/{id}/attach/ws", "attachments over websockets", "Use /containers/{id}/attach."),
)


def _refusing(what: str, hint: str) -> Handler:
    async def refuse(_: web.Request) -> web.StreamResponse:
        raise Unsupported(f"linwin does not support {what}", hint=hint)

    refuse.__doc__ = f"501: linwin does not support {what}."
    return refuse


async def no_volume(request: web.Request) -> web.StreamResponse:
    """404: where there are no volumes, there is none of this name. ``docker inspect`` asks for one."""
    raise NotFound(f"get {request.match_info['name']}: no such volume")


ROUTES = (
    *((method, path, _refusing(what, hint)) for method, path, what, hint in _REFUSALS),
    ("GET", "/volumes/{name:.+}", no_volume),
    ("DELETE", "/volumes/{name:.+}", no_volume),
)
