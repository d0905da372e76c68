"""Query parameters as docker reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from aiohttp import web

from linwin.errors import InvalidRequest

_FALSE = frozenset({"", "0", "no", "false", "none"})
_SECONDS = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9})\d*)?")

Filters = dict[str, tuple[str, ...]]


def flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    """Docker's boolean: empty, 0, no, false and none, in any case, are false."""
    value = request.query.get(name)
    return default if value is None else value.strip().lower() not in _FALSE


def number(request: web.Request, name: str) -> int | None:
    """An integer, or None where it is absent or empty. Raises InvalidRequest."""
    value = request.query.get(name, "")
    if not value:
        return None
    if not re.fullmatch(r"-?\d{1,18}", value):
        raise InvalidRequest(
            f"invalid value {value!r} for the query parameter {name}", hint="Use a whole number."
        )
    return int(value)


def terminal_size(request: web.Request) -> tuple[int, int]:
    """``h`` and ``w`` as rows and columns, each 1 to 65535. Raises InvalidRequest."""
    rows, columns = number(request, "h"), number(request, "w")
    if rows is None or columns is None or not (0 < rows < 2**16 and 0 < columns < 2**16):
        raise InvalidRequest(
            "a terminal's size needs h and w, from 1 to 65535", hint="Use resize?h=HEIGHT&w=WIDTH."
        )
    return rows, columns


def time_ns(request: web.Request, name: str) -> int:
    """Seconds since the epoch, with decimals, as nanoseconds; 0 where absent. Raises InvalidRequest."""
    value = request.query.get(name, "")
    if not value:
        return 0
    match = _SECONDS.fullmatch(value)
    if not match:
        raise InvalidRequest(
            f"invalid value {value!r} for the query parameter {name}",
            hint="Use seconds since 1970, with decimals if need be.",
        )
    sign, seconds, fraction = match.groups()
    nanoseconds = int(seconds) * 10**9 + int((fraction or "").ljust(9, "0"))
    return 0 if sign else nanoseconds


def tail(request: web.Request) -> int | None:
    """How many lines from a log's end; ``all``, nothing, a negative number or other text is None (all)."""
    value = request.query.get("tail", "")
    return int(value) if re.fullmatch(r"\d{1,18}", value) else None


def filters(request: web.Request, known: Collection[str]) -> Filters:
    """Docker's filters, in both forms that are alive: ``{"k":{"v":true}}`` and ``{"k":["v"]}``.

    Raises InvalidRequest, in docker's words for a key that is not ``known``.
    """
    text = request.query.get("filters", "")
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("invalid filter", hint="Filters are a JSON object of lists.") from error
    if not isinstance(value, dict):
        raise InvalidRequest("invalid filter", hint="Filters are a JSON object of lists.")
    for key, values in value.items():
        if key not in known:
            raise InvalidRequest(
                f"invalid filter '{key}'", hint=f"Filters known here: {', '.join(sorted(known))}."
            )
        if not isinstance(values, (dict, list)) or not all(isinstance(item, str) for item in values):
            raise InvalidRequest(f"invalid filter '{key}'", hint="A filter's values are a list of texts.")
    return {key: tuple(values) for key, values in value.items()}


def boolean_filter(wanted: Filters, key: str) -> bool | None:
    """A filter that is true or false; None where it was not given. Raises InvalidRequest."""
    values = {value.lower() for value in wanted.get(key, ())}
    if not values:
        return None
    if values <= {"1", "true"}:
        return True
    if values <= {"0", "false"}:
        return False
    raise InvalidRequest(f"invalid filter '{key}={', '.join(sorted(values))}'", hint="Use true or false.")
