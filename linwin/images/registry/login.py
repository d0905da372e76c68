"""login: whether a registry accepts a user's credentials."""

from __future__ import annotations

from linwin.errors import InvalidRequest, Unsupported
from linwin.images.references import DEFAULT_DOMAIN
from linwin.images.registry.skopeo import Subject, registry_host, require_host, run_skopeo
from linwin.model.registry import Credentials
from linwin.paths import Paths

SUCCEEDED = "Login Succeeded"

_LONGEST_NAME = 1024  # it becomes a word of a command line


async def login(paths: Paths, credentials: Credentials) -> str:
    """Show ``credentials`` to their registry; return docker's words for that it takes them.

    Nothing is kept: it is the client that remembers credentials. Raises
    Unauthorized when the registry does not take them, Unavailable when it
    cannot be asked.
    """
    registry = require_host(registry_host(credentials.server) or DEFAULT_DOMAIN)
    if credentials.identity_token and not credentials.password:
        raise Unsupported(
            f"cannot log in to {registry} with an identity token alone",
            hint="Use a user name and a password, or an access token as the password.",
        )
    user, password = credentials.username, credentials.password
    if not 0 < len(user) <= _LONGEST_NAME or not password or "\n" in password:
        raise InvalidRequest(f"login to {registry} needs a user name and a password of one line")
    await run_skopeo(
        paths,
        Subject("login", None, registry, paths.registries_conf),
        "login",
        "--username",
        user,
        "--password-stdin",
        registry,
        input=password.encode(),
    )
    return SUCCEEDED
