"""Swarm and plugins: answered as a docker daemon answers that is in no swarm and has no plugins.

Clients ask by routine (``docker info``, compose, portainer) and go on by these
answers; "page not found" would tell them that this is no docker at all.
"""

from __future__ import annotations

from aiohttp import web

from linwin.api.context import Handler, answer
from linwin.errors import InvalidRequest, NotFound, Unavailable, Unsupported

NO_MANAGER = "This node is not a swarm manager."
NO_MEMBER = "This node is not part of a swarm"
HINT = "linwin has no swarm mode; a scheduler above its API spreads containers."

_MANAGED = (
    *(("GET", f"/{noun}") for noun in ("nodes", "services", "tasks", "secrets", "configs")),
    *(("GET", f"/{noun}/{{id}}") for noun in ("nodes", "services", "tasks", "secrets", "configs")),
    *(("DELETE", f"/{noun}/{{id}}") for noun in ("nodes", "services", "secrets", "configs")),
    *(("POST", f"/{noun}/{{id}}/update") for noun in ("nodes", "services", "secrets", "configs")),
    *(("POST", f"/{noun}/create") for noun in ("services", "secrets", "configs")),
    *(("GET", f"/{noun}/{{id}}/logs") for noun in ("services", "tasks")),
    ("GET", "/swarm"),
    ("GET", "/swarm/unlockkey"),
    ("POST", "/swarm/update"),
    ("POST", "/swarm/unlock"),
)
"""What only a manager of a swarm answers."""


async def managed(_: web.Request) -> web.StreamResponse:
    """503, as of every docker daemon outside a swarm."""
    raise Unavailable(NO_MANAGER, hint=HINT)


async def join(_: web.Request) -> web.StreamResponse:
    """``POST /swarm/init`` and ``/swarm/join``: 501."""
    raise Unsupported("linwin does not support swarm mode", hint=HINT)


async def leave(_: web.Request) -> web.StreamResponse:
    """``POST /swarm/leave``: 503."""
    raise Unavailable(NO_MEMBER)


async def plugins(_: web.Request) -> web.StreamResponse:
    """``GET /plugins``: none."""
    return answer([])


async def plugin(request: web.Request) -> web.StreamResponse:
    """One plugin: 404 in docker's words."""
    raise NotFound(f'plugin "{request.match_info["name"]}" not found')


async def install(_: web.Request) -> web.StreamResponse:
    """Getting plugins: 501."""
    raise Unsupported("linwin does not support plugins")


async def cluster_volume(_: web.Request) -> web.StreamResponse:
    """``PUT /volumes/{name}``: 503, since only a swarm's volumes can be changed."""
    raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable", hint=HINT)


async def session(_: web.Request) -> web.StreamResponse:
    """``POST /session`` and ``/grpc``: BuildKit's, which builds no Windows images."""
    raise InvalidRequest(
        "linwin has no BuildKit", hint="Set DOCKER_BUILDKIT=0: the classic builder is used then."
    )


_ONE_PLUGIN = (
    ("GET", "/plugins/{name:.+}/json"),
    ("DELETE", "/plugins/{name:.+}"),
    *(("POST", f"/plugins/{{name:.+}}/{verb}") for verb in ("enable", "disable", "upgrade", "push", "set")),
)

ROUTES: tuple[tuple[str, str, Handler], ...] = (
    *((method, path, managed) for method, path in _MANAGED),
    ("POST", "/swarm/init", join),
    ("POST", "/swarm/join", join),
    ("POST", "/swarm/leave", leave),
    ("GET", "/plugins", plugins),
    ("GET", "/plugins/privileges", install),
    ("POST", "/plugins/pull", install),
    ("POST", "/plugins/create", install),
    *((method, path, plugin) for method, path in _ONE_PLUGIN),
    ("PUT", "/volumes/{name:.+}", cluster_volume),
    ("POST", "/session", session),
    ("POST", "/grpc", session),
)
