"""The functions of ``--format`` templates: Go's own, docker's, and how values become text.

https://pkg.go.dev/text/template#hdr-Functions and https://docs.docker.com/engine/cli/formatting/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from linwin.errors import InvalidRequest

Function = Callable[..., Any]

_VERB = re.compile(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?(.)", re.DOTALL)
_INTEGERS = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b", "c": "c"}
_REALS = {"f": "f", "F": "F", "e": "e", "E": "E", "g": "g", "G": "G"}
WIDEST = 10_000
"""Characters that a field of ``printf`` may have."""


def invalid(problem: str) -> InvalidRequest:
    """What is raised for every template that cannot be read or rendered."""
    return InvalidRequest(
        f"template: {problem}", hint="fields look like {{.ID}}, and {{json .}} prints all of them"
    )


def printed(value: Any) -> str:
    """A value as Go's fmt prints it: ``true``, ``[a b]``, ``map[k:v]``."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(printed, value)) + "]"
    return str(value)


def to_json(value: Any) -> str:
    """Compact JSON on one line, without the methods that a row may have beside its fields."""
    if isinstance(value, Mapping):
        value = {name: field for name, field in value.items() if not callable(field)}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _printf(form: str, *values: Any) -> str:
    """Go's verbs for text, numbers and truth; a verb without a value, or of another kind, is refused."""
    left = list(values)

    def fill(match: re.Match[str]) -> str:
        flags, width, digits, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            raise invalid(f"printf: no value for %{verb}")
        text = _formatted(verb, flags, digits, left.pop(0))
        fill_with = "0" if "0" in flags and "-" not in flags and verb not in "svqt" else " "
        size = min(int(width or 0), WIDEST)
        if "-" in flags:
            return text.ljust(size)
        return text.zfill(size) if fill_with == "0" else text.rjust(size)

    text = _VERB.sub(fill, form)
    if left:
        raise invalid(f"printf: nothing in {json.dumps(form)} shows {printed(left[0])}")
    return text


def _formatted(verb: str, flags: str, digits: str | None, value: Any) -> str:
    sign = "+" if "+" in flags else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if verb in "sv":
        text = printed(value)
        return text if digits is None else text[: int(digits)]
    if verb == "q":
        return json.dumps(printed(value), ensure_ascii=False)
    if verb == "t" and isinstance(value, bool):
        return printed(value)
    if verb in "xX" and isinstance(value, str):
        return format(value.encode().hex(), "s") if verb == "x" else value.encode().hex().upper()
    if verb in _INTEGERS and isinstance(value, int) and number:
        return format(value, f"{sign}{_INTEGERS[verb]}")
    if verb in _REALS and number:
        return format(float(value), f"{sign}.{min(int(digits or 6), WIDEST)}{_REALS[verb]}")
    raise invalid(f"printf: %{verb} does not show {printed(value)}")


def _print(*values: Any) -> str:
    """Go's Sprint: a blank between two values of which neither is a text."""
    out = ""
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out += " "
        out += printed(value)
    return out


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = {} if value is None else value
        value = value.get(key, "") if isinstance(value, Mapping) else value[key]
    return value


def _slice(value: Any, *bounds: int) -> Any:
    start, end = (*bounds, 0)[0], bounds[1] if len(bounds) > 1 else len(value)
    if not 0 <= start <= end <= len(value):
        raise IndexError(f"slice bounds {start} to {end} of {len(value)}")
    return value[start:end]


def _pad(text: str, before: int, after: int) -> str:
    return f"{' ' * min(before, WIDEST)}{text}{' ' * min(after, WIDEST)}" if text else ""


def _title(text: str) -> str:
    return re.sub(r"(?<![A-Za-z0-9_])[a-z]", lambda match: match[0].upper(), text)


def _urlquery(*values: Any) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_print(*values))


def _html(*values: Any) -> str:
    from html import escape

    return escape(_print(*values)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


FUNCTIONS: dict[str, Function] = {
    "json": to_json,
    "split": lambda text, separator: text.split(separator),
    "join": lambda items, separator: separator.join(items),
    "title": _title,
    "lower": str.lower,
    "upper": str.upper,
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
    "index": _index,
    "slice": _slice,
    "len": lambda value: 0 if value is None else len(value),
    "print": _print,
    "printf": _printf,
    "println": lambda *values: " ".join(map(printed, values)) + "\n",
    "html": _html,
    "urlquery": _urlquery,
    "not": lambda value: not value,
    "eq": lambda left, *others: left in others,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
}

_UNTOUCHED = ("json", "split", "join", "title", "lower", "upper", "pad", "truncate")

HEADING_FUNCTIONS = FUNCTIONS | dict.fromkeys(_UNTOUCHED, lambda text, *_: text)
"""What they are over a table's headings: docker leaves those as they are."""
