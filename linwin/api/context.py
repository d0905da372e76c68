"""What every handler finds in its request's application, and who the server says it is."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiohttp import web

from linwin.api.lifetime import Lifetime
from linwin.engine.engine import Engine
from linwin.paths import Paths

MIN_VERSION = (1, 24)
MAX_VERSION = (1, 50)
DOCKER_VERSION = "28.2.2"
"""The release of docker whose behaviour is followed."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ENGINE = web.AppKey("engine", Engine)
PATHS = web.AppKey("paths", Paths)
LIFETIME = web.AppKey("lifetime", Lifetime)
VERSION = web.RequestKey("version", tuple[int, int])


def engine_of(request: web.Request) -> Engine:
    """The engine that serves the request."""
    return request.app[ENGINE]


def version_of(request: web.Request) -> tuple[int, int]:
    """The API version that the client speaks."""
    version: tuple[int, int] = request.get(VERSION, MAX_VERSION)
    return version


def identity() -> dict[str, str]:
    """Headers of every response; docker's clients take the daemon's kind and abilities from them."""
    return {
        "Server": f"Docker/{DOCKER_VERSION} (windows)",
        "Api-Version": ".".join(map(str, MAX_VERSION)),
        "Ostype": "windows",
        "Docker-Experimental": "false",
    }


def answer(value: Any, status: int = 200) -> web.Response:
    """A JSON response whose content type carries no charset: docker's CLI compares it as text."""
    return _answer(json.dumps(value), status)


def answer_list(elements: Iterable[str]) -> web.Response:
    """A JSON response like :func:`answer`'s: an array of elements that are JSON text already.

    Of a long list each is rendered by itself, which takes half the time of all at once:
    few objects live at a time, and none is there for the garbage collector to look at.
    """
    return _answer(f"[{', '.join(elements)}]", 200)


def _answer(text: str, status: int) -> web.Response:
    return web.Response(status=status, body=text.encode() + b"\n", content_type="application/json")
