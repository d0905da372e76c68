"""Docker's routes that linwin does not serve, so that a refusal names what was asked for.

Routes that are in no table answer "page not found", as docker's do.
"""

from __future__ import annotations

from aiohttp import web

from linwin.api.context import Handler
from linwin.errors import Unsupported

_LATER = "This version of linwin does not have it."

_REFUSALS = (
    (
        "GET",
        "/containers/{id}/export",
        "docker export",
        "Nor does docker on Windows; linwin cp takes files out.",
    ),
    ("POST", "/build", "docker build", "Build the image elsewhere and load it: linwin load."),
    ("POST", "/commit", "docker commit", _LATER),
)


def _refusing(what: str, hint: str) -> Handler:
    async def refuse(_: web.Request) -> web.StreamResponse:
        raise Unsupported(f"linwin does not support {what}", hint=hint)

    refuse.__doc__ = f"501: linwin does not support {what}."
    return refuse


ROUTES = tuple((method, path, _refusing(what, hint)) for method, path, what, hint in _REFUSALS)
