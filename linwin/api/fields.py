"""Strict reading of JSON that a client sent: wrong types are refused by name, unknown fields are ignored."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from linwin.errors import InvalidRequest

DEEPEST = 64
"""Levels of objects and lists in a body."""


async def body_of(request: web.Request) -> Fields:
    """The request's body, which must be one JSON object. Raises InvalidRequest."""
    body = await request.read()
    if not body.strip():
        raise InvalidRequest("the request has no body", hint="Send a JSON object.")
    return Fields(_parsed(body), "the request's body")


async def optional_body_of(request: web.Request) -> Fields | None:
    """The same where there may be none, or null. Raises InvalidRequest."""
    body = await request.read()
    value = _parsed(body) if body.strip() else None
    return None if value is None else Fields(value, "the request's body")


def _parsed(body: bytes) -> Any:
    try:
        value = json.loads(body, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"invalid JSON: {error}", hint="Send a JSON object.") from error
    _check_depth(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _finite(text: str) -> float:
    """What is too large for a float would become a word that JSON does not have when it is told again."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large a number")
    return number


def _check_depth(value: object) -> None:
    """What is kept of a body is walked and written again, by code that recurses."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise InvalidRequest(
                f"invalid JSON: it is nested deeper than {DEEPEST} levels",
                hint="No request of docker's is that deep.",
            )
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]


class Fields:
    """Typed access to one JSON object; null and absent are the same. All methods raise InvalidRequest."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise InvalidRequest(f"invalid JSON: {where} must be an object")
        self._values: Mapping[str, Any] = value

    def raw(self) -> dict[str, Any]:
        """Everything that was sent and is not null."""
        return {name: value for name, value in self._values.items() if value is not None}

    def given(self, name: str) -> bool:
        """Whether the field holds something other than its type's empty value."""
        return bool(self._values.get(name))

    def text(self, name: str, default: str = "") -> str:
        """A text, ``default`` where absent."""
        value = self._values.get(name)
        return default if value is None else _text(value, name)

    def flag(self, name: str) -> bool:
        """True or false, false where absent."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidRequest(f"invalid JSON: {name} must be true or false")
        return bool(value)

    def integer(self, name: str) -> int | None:
        """A whole number of 64 bits, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise InvalidRequest(f"invalid JSON: {name} must be a whole number")
        return value

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts, or None."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise InvalidRequest(f"invalid JSON: {name} must be a list of texts")
        return tuple(_text(item, name) for item in value)

    def words(self, name: str) -> tuple[str, ...] | None:
        """A command: a list of texts, or one text that is the only word."""
        value = self._values.get(name)
        return (_text(value, name),) if isinstance(value, str) else self.texts(name)

    def mapping(self, name: str) -> dict[str, str]:
        """An object whose values are texts."""
        return {_text(key, name): _text(value, name) for key, value in self.object(name).raw().items()}

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of an object that stands for a set."""
        return tuple(_text(key, name) for key in self.object(name)._values)

    def size(self, name: str) -> tuple[int, int]:
        """A terminal's height and width, (0, 0) where absent."""
        size = self._values.get(name)
        if size is None:
            return 0, 0
        if (
            not isinstance(size, list)
            or len(size) != 2
            or not all(type(n) is int and 0 <= n < 2**16 for n in size)
        ):
            raise InvalidRequest(f"invalid JSON: {name} must be two whole numbers, height and width")
        return size[0], size[1]

    def names(self) -> tuple[str, ...]:
        """The names of all fields, null ones too, where the client chose them."""
        return tuple(_text(key, "an object") for key in self._values)

    def objects(self, name: str) -> tuple[Fields, ...]:
        """A list of objects, empty where absent."""
        value = self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise InvalidRequest(f"invalid JSON: {name} must be a list of objects")
        return tuple(Fields(item, name) for item in value)

    def object(self, name: str) -> Fields:
        """A nested object, empty where absent."""
        value = self._values.get(name)
        return Fields({} if value is None else value, name)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"invalid JSON: {name} must hold text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"invalid JSON: {name} holds half a surrogate pair") from error
    if "\0" in value:
        raise InvalidRequest(f"invalid JSON: {name} holds a zero character")
    return value
