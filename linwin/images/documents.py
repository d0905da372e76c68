"""Strict reading of the JSON documents that archives bring.

Manifests, indexes and image configs are hostile: everything has a type, a size
and a name by which an error can point at it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from linwin.errors import InvalidRequest

MAXIMUM_BYTES = 4 << 20
"""The largest manifest or config accepted, as registries limit them."""


class Document:
    """One JSON object and the words that name it in an error.

    Getters treat an absent key and null alike, as Go's decoder does, and raise
    InvalidRequest for a value of another type.
    """

    def __init__(self, fields: Mapping[str, Any], what: str) -> None:
        self._fields = fields
        self.what = what

    @classmethod
    def parse(cls, data: bytes, what: str, limit: int = MAXIMUM_BYTES) -> Document:
        """Read a document whose top is an object, of at most ``limit`` bytes."""
        fields = parse(data, what, limit)
        if not isinstance(fields, dict):
            raise InvalidRequest(f"{what} is not a JSON object")
        return cls(fields, what)

    def __contains__(self, key: str) -> bool:
        return self._fields.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        value = self._get(key, str, "a string")
        return default if value is None else _clean(value, self._name(key))

    def texts(self, key: str) -> tuple[str, ...]:
        return tuple(self._strings(key, self._get(key, list, "a list") or []))

    def text_map(self, key: str) -> dict[str, str]:
        fields = self._get(key, dict, "an object") or {}
        values = self._strings(key, [*fields.keys(), *("" if v is None else v for v in fields.values())])
        items = list(values)
        return dict(zip(items[: len(fields)], items[len(fields) :], strict=True))

    def keys_of(self, key: str) -> tuple[str, ...]:
        """The keys of an object whose values say nothing, as Go writes a set."""
        return tuple(self._strings(key, list(self._get(key, dict, "an object") or {})))

    def flag(self, key: str) -> bool:
        return bool(self._get(key, bool, "true or false"))

    def size(self, key: str) -> int:
        value = self._get(key, int, "a number")
        if value is None or value is True or value is False or value < 0:
            raise InvalidRequest(f"{self._name(key)} is not a size")
        return int(value)

    def object(self, key: str) -> Document:
        """A nested object; an empty one when absent."""
        return Document(self._get(key, dict, "an object") or {}, self._name(key))

    def objects(self, key: str) -> tuple[Document, ...]:
        return objects(self._get(key, list, "a list") or [], self._name(key))

    def _get(self, key: str, kind: type, expected: str) -> Any:
        value = self._fields.get(key)
        if value is None or isinstance(value, kind):
            return value
        raise InvalidRequest(f"{self._name(key)} is not {expected}")

    def _strings(self, key: str, values: list[Any]) -> Iterator[str]:
        for value in values:
            if not isinstance(value, str):
                raise InvalidRequest(f"{self._name(key)} holds something other than strings")
            yield _clean(value, self._name(key))

    def _name(self, key: str) -> str:
        return f'"{key}" of {self.what}'


def parse(data: bytes, what: str, limit: int = MAXIMUM_BYTES) -> Any:
    """Read JSON of bounded size. Raises InvalidRequest naming ``what``."""
    if len(data) > limit:
        raise InvalidRequest(f"{what} is larger than {limit} bytes")
    try:
        return json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{what} is not valid JSON") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def objects(values: list[Any], what: str) -> tuple[Document, ...]:
    """Check that a JSON list holds objects only."""
    for value in values:
        if not isinstance(value, dict):
            raise InvalidRequest(f"{what} holds something other than objects")
    return tuple(Document(value, f"entry {number} of {what}") for number, value in enumerate(values, 1))


def _clean(value: str, what: str) -> str:
    # JSON can spell half a surrogate pair, which no encoding can write again.
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{what} is not valid text") from error
    return value
