"""HTTP status and docker's error texts → kinds of :mod:`linwin.errors`."""

from __future__ import annotations

from linwin.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    Forbidden,
    Internal,
    InvalidRequest,
    LinwinError,
    NotFound,
    Unauthorized,
    Unavailable,
    Unsupported,
)

KINDS: dict[int, type[LinwinError]] = {
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: Unsupported,
    503: Unavailable,
}

# The texts by which docker's own CLI picks its exit codes 127 and 126.
NOT_FOUND_TEXTS = (
    "executable file not found",
    "no such file or directory",
    "system cannot find the file specified",
)
NOT_EXECUTABLE_TEXTS = ("permission denied", "cannot run on the template")
"""The second is linwin's own: docker's takes it for a refusal like any other (125)."""


class Unreachable(Unavailable):
    """No daemon answers at the host's address."""


def failure(status: int, text: str) -> LinwinError:
    """The error that a response of ``status`` with the message ``text`` means.

    The first line is the message and what follows is the hint.
    """
    message, _, hint = text.partition("\n")
    return _kind(status, text)(message or f"the daemon answered with status {status}", hint=hint or None)


def _kind(status: int, text: str) -> type[LinwinError]:
    kind = KINDS.get(status, InvalidRequest if 400 <= status < 500 else Internal)
    if kind is InvalidRequest:
        lowered = text.lower()
        if any(known in lowered for known in NOT_FOUND_TEXTS):
            return CommandNotFound
        if any(known in lowered for known in NOT_EXECUTABLE_TEXTS):
            return CommandNotExecutable
    return kind
