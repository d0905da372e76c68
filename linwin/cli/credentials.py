"""Who a user is to a registry, kept where docker's client keeps it.

docker's rules: a registry's own helper (``credHelpers``), else the helper for
all (``credsStore``), else the file itself (``auths``), in base64 and so in
plain sight. Docker Hub goes by the address of its first API.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linwin.cli import credential_helpers, failures
from linwin.cli.docker_config import config_path, edited_config, read_config, section
from linwin.cli.references import DEFAULT_DOMAIN
from linwin.errors import InvalidRequest, Unavailable
from linwin.model.registry import Credentials

DOCKER_HUB = "https://index.docker.io/v1/"
_DOCKER_HUB_NAMES = ("", DEFAULT_DOMAIN, "index.docker.io", "registry-1.docker.io")
HEADER = "X-Registry-Auth"
CONFIG_HEADER = "X-Registry-Config"


def registry_key(server: str) -> str:
    """The key by which a registry's credentials are kept: its host and port, or Docker Hub's address."""
    host = _host(server)
    return DOCKER_HUB if host in _DOCKER_HUB_NAMES else host


def auth_header(server: str) -> dict[str, str]:
    """The header that carries what is kept for ``server``, or nobody's credentials, to the daemon.

    Docker Engine API, "Authentication": URL-safe base64 of a JSON object.
    """
    kept = find_credentials(registry_key(server))
    described = {} if kept is None else auth_config(kept)
    return {HEADER: base64.urlsafe_b64encode(json.dumps(described).encode()).decode()}


def config_header() -> dict[str, str]:
    """The header that carries everything that is kept, for a build, which may ask any registry.

    A helper that fails is named, and is no reason not to build.
    """
    path = config_path()
    content = read_config(path)
    kept: dict[str, dict[str, str]] = {}
    for key in {**section(content, path, "auths"), **section(content, path, "credHelpers")}:
        try:
            found = find_credentials(key)
        except Unavailable as error:
            failures.say(f"warning: building without credentials for {key}: {error.message}")
            continue
        if found is not None:
            kept[key] = auth_config(found)
    return {CONFIG_HEADER: base64.urlsafe_b64encode(json.dumps(kept).encode()).decode()}


def auth_config(credentials: Credentials) -> dict[str, str]:
    """Credentials as the API's AuthConfig; what is empty is left out."""
    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": credentials.server,
        "identitytoken": credentials.identity_token,
    }
    return {name: value for name, value in fields.items() if value}


def find_credentials(key: str) -> Credentials | None:
    """What is kept for the registry ``key``; None when nothing is.

    Raises Unavailable for a helper that is missing or fails, InvalidRequest for
    a malformed file.
    """
    path = config_path()
    content = read_config(path)
    if helper := _helper(content, path, key):
        return credential_helpers.fetch(helper, key)
    entry = _entry(section(content, path, "auths"), key)
    return None if entry is None else _decoded(entry, key, path)


def store_credentials(credentials: Credentials) -> Path | None:
    """Keep ``credentials`` for their server; returns the file that now shows a password, if one does."""
    path, key = config_path(), credentials.server
    helper = _helper(read_config(path), path, key)
    if helper:
        credential_helpers.store(helper, credentials)
    with edited_config(path) as content:
        # With a helper the entry stays empty, which is how docker remembers that there is one.
        content["auths"] = {**section(content, path, "auths"), key: {} if helper else _encoded(credentials)}
    return path if not helper and credentials.password else None


def erase_credentials(key: str) -> bool:
    """Forget what is kept for the registry ``key``; False when nothing was."""
    path = config_path()
    content = read_config(path)
    names = {name for name in section(content, path, "auths") if name == key or _host(name) == key}
    helper = _helper(content, path, key)
    kept = helper is not None and credential_helpers.fetch(helper, key) is not None
    if helper and kept:
        credential_helpers.erase(helper, key)
    if names:
        with edited_config(path) as content:
            auths = section(content, path, "auths")
            content["auths"] = {name: entry for name, entry in auths.items() if name not in names}
    return bool(names) or kept


def _host(server: str) -> str:
    """``https://host:5000/v1/`` → ``host:5000``: keys were URLs once."""
    return server.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _helper(content: Mapping[str, Any], path: Path, key: str) -> str | None:
    helper = section(dict(content), path, "credHelpers").get(key) or content.get("credsStore")
    if helper is not None and not isinstance(helper, str):
        raise InvalidRequest(f"the credential helper for {key} in {path} is not named by a string")
    return helper or None


def _entry(auths: Mapping[str, Any], key: str) -> Any:
    if key in auths:
        return auths[key]
    return next((entry for name, entry in auths.items() if _host(name) == key), None)


def _decoded(entry: Any, key: str, path: Path) -> Credentials | None:
    """An element of ``auths``: ``auth`` is base64 of ``user:password``; a token comes on its own."""
    if not isinstance(entry, dict):
        raise _malformed(key, path)
    auth, token = entry.get("auth", ""), entry.get("identitytoken", "")
    if not isinstance(auth, str) or not isinstance(token, str):
        raise _malformed(key, path)
    username, password = "", ""
    if auth:
        try:
            username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise _malformed(key, path) from None  # the exception would show what it could not decode
        if not colon:
            raise _malformed(key, path)
    if token:
        return Credentials(username=username, identity_token=token, server=key)
    return Credentials(username, password.rstrip("\0"), server=key) if username else None


def _encoded(credentials: Credentials) -> dict[str, str]:
    pair = f"{credentials.username}:{credentials.password}"
    entry = {"auth": base64.b64encode(pair.encode()).decode()}
    return entry | ({"identitytoken": credentials.identity_token} if credentials.identity_token else {})


def _malformed(key: str, path: Path) -> InvalidRequest:
    return InvalidRequest(
        f"the credentials for {key} in {path} are malformed", hint=f"linwin logout {key}, then linwin login"
    )
