"""The JSON in control frames, parsed strictly: it comes from a guest.

Unknown fields are ignored, so that a newer agent can say more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from linwin.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Internal,
    InvalidRequest,
    LinwinError,
    NotFound,
    Unavailable,
)
from linwin.guest import frames

VERSION = 1
REBUILD = "rebuild its template: linwin template build NAME"
WINDOWS = "windows"
"""The kind of guests that run on C:, configure their NICs by DHCP, mount no files of the host and copy
none while they run yet."""
MAX_MESSAGE = 1000
"""Characters of a guest's error message that are passed on."""


class Malformed(Exception):
    """A control frame's JSON is not what the protocol says."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What an agent says of itself; ``session`` is empty when it was not asked.

    ``agent`` names the sources that it was built of.
    """

    session: str
    version: int
    capabilities: frozenset[str]
    kind: str
    boot_id: str
    agent: str = ""
    max_request: int = frames.MAX_PAYLOAD
    """Bytes of the longest request that it takes; beyond a frame, in parts."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that the guest refused."""

    kind: str
    message: str

    def error(self, *, of_command: bool = False) -> LinwinError:
        """The linwin error for it. ``of_command``: the request was to start a program."""
        match self.kind:
            case "not-found":
                return CommandNotFound(self.message) if of_command else NotFound(self.message)
            case "not-executable":
                return CommandNotExecutable(self.message)
            case "invalid":
                return InvalidRequest(self.message)
            case "unavailable":
                return Unavailable(self.message)
            case _:
                return Internal(f"the guest's agent failed: {self.message}")


def parse_hello(payload: bytes) -> Hello:
    """Raises Malformed."""
    fields = _object(payload)
    capabilities = fields.get("capabilities", [])
    if not isinstance(capabilities, list) or not all(isinstance(name, str) for name in capabilities):
        raise Malformed("the hello's capabilities are no list of names")
    return Hello(
        session=_text(fields, "session"),
        version=number(fields, "version", 0xFFFF),
        capabilities=frozenset(capabilities),
        kind=_text(fields, "kind", ""),
        boot_id=_text(fields, "boot_id", ""),
        agent=printable(_text(fields, "agent", "")),
        max_request=number({"max_request": frames.MAX_PAYLOAD, **fields}, "max_request", 0xFFFFFFFF),
    )


def parse_response(payload: bytes) -> Mapping[str, Any] | Failure:
    """The result of a request, or why there is none. Raises Malformed."""
    fields = _object(payload)
    error = fields.get("error")
    if error is None:
        result = fields.get("ok")
        if not isinstance(result, dict):
            raise Malformed("a response is neither ok nor an error")
        return result
    if not isinstance(error, dict):
        raise Malformed("a response's error is no object")
    return Failure(_text(error, "kind"), printable(_text(error, "message")))


def number(fields: Mapping[str, Any], name: str, maximum: int) -> int:
    """An integer from 0 to ``maximum``. Raises Malformed."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise Malformed(f"{name} is no number from 0 to {maximum}")
    return value


def _object(payload: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Malformed("a control frame is no JSON") from error
    if not isinstance(fields, dict):
        raise Malformed("a control frame is no JSON object")
    return fields


def _text(fields: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise Malformed(f"{name} is no string")
    return value


def printable(text: str) -> str:
    """``text`` on one line, without what could move a terminal's cursor."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_MESSAGE])
