"""Who asks registries: ``X-Registry-Auth``, ``X-Registry-Config``, ``POST /auth``.

Secrets are never quoted back.
"""

from __future__ import annotations

import base64
import json

from aiohttp import web

from linwin.api.context import answer, engine_of
from linwin.api.fields import Fields, body_of
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.registry import Credentials

HEADER = "X-Registry-Auth"
CONFIG_HEADER = "X-Registry-Config"

_HINTS = {
    HEADER: 'It is the base64url of a JSON object such as {"username":…,"password":…}.',
    CONFIG_HEADER: 'It is the base64url of a JSON object such as {"HOST":{"username":…,"password":…}}.',
}
_DOCKER_HUB = "docker.io"
_DOCKER_HUB_NAMES = ("", "index.docker.io", "registry-1.docker.io")
_URL_SAFE = str.maketrans("-_", "+/")


def credentials_of(request: web.Request) -> Credentials | None:
    """What the request's header proves; None where it proves nothing. Raises InvalidRequest."""
    return _credentials(_decoded(request, HEADER))


def all_credentials_of(request: web.Request) -> dict[str, Credentials]:
    """What a build's request proves to any registry, by the registry's host. Raises InvalidRequest.

    Clients send all that they have, and so what is of no use here is left out.
    """
    config = _decoded(request, CONFIG_HEADER)
    sent = [(server, config.object(server)) for server in config.names()]
    single = _decoded(request, HEADER)
    sent.append((single.text("serveraddress"), single))
    found = ((registry_host(server), _plain_credentials(fields)) for server, fields in sent)
    return {host: credentials for host, credentials in found if credentials is not None}


def registry_host(server: str) -> str:
    """The host that docker's key for a registry means: ``https://index.docker.io/v1/`` is docker.io."""
    host = (server.partition("://")[2] or server).partition("/")[0].lower()
    return _DOCKER_HUB if host in _DOCKER_HUB_NAMES else host


def _decoded(request: web.Request, header: str) -> Fields:
    """A header's object, empty where there is none.

    Both alphabets of base64 are in use, with and without padding.
    """
    text = request.headers.get(header, "").strip()
    if not text:
        return Fields({}, header)
    digits = text.rstrip("=").translate(_URL_SAFE)
    try:
        value = json.loads(base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"invalid {header} header", hint=_HINTS[header]) from error
    return Fields({} if value is None else value, f"the {header} header")


def _credentials(fields: Fields) -> Credentials | None:
    if fields.text("registrytoken"):
        raise Unsupported(
            "linwin does not support bearer tokens of a registry (registrytoken)",
            hint="Log in with a name and a password, or with an identity token.",
        )
    return _plain_credentials(fields)


def _plain_credentials(fields: Fields) -> Credentials | None:
    credentials = Credentials(
        username=fields.text("username"),
        password=fields.text("password"),
        identity_token=fields.text("identitytoken"),
        server=fields.text("serveraddress"),
    )
    return credentials if credentials.username or credentials.identity_token else None


async def login(request: web.Request) -> web.Response:
    """``POST /auth``: 200 when the registry accepts the credentials, 401 in its words when it does not.

    Nothing is kept here: docker's clients send what they were told with each request.
    """
    credentials = _credentials(await body_of(request))
    if credentials is None:
        raise InvalidRequest(
            "no credentials were given", hint="Send a username and a password, or an identitytoken."
        )
    return answer({"Status": await engine_of(request).login(credentials), "IdentityToken": ""})


ROUTES = (("POST", "/auth", login),)
