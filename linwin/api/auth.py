"""Who asks a registry: ``X-Registry-Auth`` and ``POST /auth``. Secrets are never quoted back."""

from __future__ import annotations

import base64
import json

from aiohttp import web

from linwin.api.context import answer, engine_of
from linwin.api.fields import Fields, body_of
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.registry import Credentials

HEADER = "X-Registry-Auth"

_HINT = 'It is the base64url of a JSON object such as {"username":…,"password":…}.'
_URL_SAFE = str.maketrans("-_", "+/")


def credentials_of(request: web.Request) -> Credentials | None:
    """What the request's header proves; None where it proves nothing. Raises InvalidRequest."""
    text = request.headers.get(HEADER, "").strip()
    return _credentials(_decoded(text)) if text else None


def _decoded(text: str) -> Fields:
    """Both alphabets of base64 are in use, with and without padding."""
    digits = text.rstrip("=").translate(_URL_SAFE)
    try:
        value = json.loads(base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True))
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"invalid {HEADER} header", hint=_HINT) from error
    return Fields({} if value is None else value, f"the {HEADER} header")


def _credentials(fields: Fields) -> Credentials | None:
    if fields.text("registrytoken"):
        raise Unsupported(
            "linwin does not support bearer tokens of a registry (registrytoken)",
            hint="Log in with a name and a password, or with an identity token.",
        )
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
