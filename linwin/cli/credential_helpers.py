"""Credential helpers: programs ``docker-credential-NAME`` that keep secrets for docker's clients.

The protocol is that of https://github.com/docker/docker-credential-helpers: the
action is the argument, the payload comes on stdin, the answer or the reason of
a failure on stdout.
"""

from __future__ import annotations

import json
import subprocess

from linwin.errors import InvalidRequest, Unavailable
from linwin.model.registry import Credentials

TIMEOUT = 120.0  # seconds; a helper may ask its user to unlock a key ring
_ABSENT = "credentials not found in native keychain"
_TOKEN = "<token>"  # the user name that says: the secret is an identity token
_LONGEST_REASON = 200


def fetch(helper: str, server: str) -> Credentials | None:
    """What ``helper`` keeps for ``server``; None when it keeps nothing."""
    answer = _run(helper, "get", server)
    if answer is None:
        return None
    try:
        kept = json.loads(answer)
        username, secret = kept["Username"], kept["Secret"]
    except (ValueError, KeyError, TypeError):
        # The answer may hold the secret, and so may the exception: neither is shown or chained.
        raise Unavailable(
            f"{program(helper)} gave an answer that cannot be read", hint=f"try: {program(helper)} get"
        ) from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise Unavailable(f"{program(helper)} gave an answer that cannot be read")
    if username == _TOKEN:
        return Credentials(identity_token=secret, server=server)
    return Credentials(username=username, password=secret, server=server)


def store(helper: str, credentials: Credentials) -> None:
    """Have ``helper`` keep ``credentials``, a token in place of the password where there is one."""
    username, secret = credentials.username, credentials.password
    if credentials.identity_token:
        username, secret = _TOKEN, credentials.identity_token
    _run(
        helper, "store", json.dumps({"ServerURL": credentials.server, "Username": username, "Secret": secret})
    )


def erase(helper: str, server: str) -> None:
    """Have ``helper`` forget what it keeps for ``server``, if it does."""
    _run(helper, "erase", server)


def program(helper: str) -> str:
    """The file name of ``helper``, which is searched on PATH."""
    return f"docker-credential-{helper}"


def _run(helper: str, action: str, payload: str) -> str | None:
    """What the program prints; None when it says that it has no such credentials."""
    name = program(helper)
    if "/" in helper or "\0" in helper:
        raise InvalidRequest(f"invalid name of a credential helper: {helper!r}")
    try:
        done = subprocess.run(
            [name, action], input=payload.encode(), stdout=subprocess.PIPE, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        # What it has printed so far hangs on the exception: not chained.
        raise Unavailable(f"{name} did not answer within {TIMEOUT:g} seconds") from None
    except OSError as error:
        raise Unavailable(
            f"cannot run the credential helper {name}: {error.strerror}",
            hint="install it, or take it out of docker's config.json (credsStore, credHelpers)",
        ) from error
    answer = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode == 0:
        return answer
    if answer == _ABSENT:
        return None
    raise Unavailable(f"{name} {action} failed: {_reason(answer, done.returncode)}")


def _reason(answer: str, code: int) -> str:
    first = answer.partition("\n")[0]
    printable = "".join(character if character.isprintable() else " " for character in first)
    return printable[:_LONGEST_REASON] or f"exit code {code}"
