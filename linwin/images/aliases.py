"""Aliases: the homes that retired repository names moved to.

The package brings a table (``aliases.yaml`` beside this file); a file of the
same form in linwin's root overrides it line by line and is read afresh when it
changes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path

import yaml

from linwin.errors import InvalidRequest, LinwinError
from linwin.images import references
from linwin.images.references import Reference

_Table = Mapping[str, Reference | None]
_Stamp = tuple[int, int, int]

_MAXIMUM_BYTES = 1 << 20
_HINT = "Write one line an alias, as in: microsoft/nanoserver: mcr.microsoft.com/windows/nanoserver"


class Aliases:
    """The packaged table with the user's file laid over it."""

    def __init__(self, override: Path) -> None:
        self._override = override
        packaged = resources.files("linwin.images").joinpath("aliases.yaml").read_text("utf-8")
        self._packaged = parse_table(packaged, "the packaged alias file")
        self._table: _Table = self._packaged
        self._stamp: _Stamp | None = None

    def home(self, reference: Reference) -> Reference:
        """Where ``reference`` lives now; itself, tagged, when nothing moved it.

        Raises InvalidRequest when the user's file cannot be read as one.
        """
        table = self._current()
        tagged = reference.with_default_tag()
        by_tag = table.get(str(replace(tagged, digest=None)))
        if by_tag is not None:
            return replace(by_tag, tag=by_tag.tag or tagged.tag, digest=tagged.digest)
        by_name = table.get(tagged.name)
        if by_name is not None:
            return replace(by_name, tag=by_name.tag or tagged.tag, digest=tagged.digest)
        return tagged

    def moved(self) -> list[tuple[Reference, Reference]]:
        """Every repository that moved, and its home, as the table has them."""
        table = self._current()
        names = ((references.parse(name), home) for name, home in table.items())
        return [(name, home) for name, home in names if home is not None and name.tag is None]

    def _current(self) -> _Table:
        try:
            status = self._override.stat()
        except FileNotFoundError:
            self._table, self._stamp = self._packaged, None
            return self._table
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp != self._stamp:
            user = parse_table(_read(self._override), os.fspath(self._override))
            self._table, self._stamp = {**self._packaged, **user}, stamp
        return self._table


def parse_table(text: str, origin: str) -> _Table:
    """Read an alias file; keys and values are normalised references.

    Raises InvalidRequest naming ``origin`` and the offending line's key.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidRequest(f"{origin} is not YAML: {error}", hint=_HINT) from error
    except RecursionError as error:
        raise InvalidRequest(f"{origin} is nested too deeply", hint=_HINT) from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InvalidRequest(f"{origin} is not a table of aliases", hint=_HINT)
    return dict(_entry(key, value, origin) for key, value in document.items())


def _entry(key: object, value: object, origin: str) -> tuple[str, Reference | None]:
    if not isinstance(key, str) or not (value is None or isinstance(value, str)):
        raise InvalidRequest(f"{origin}: {key!r}: both sides of an alias are image names", hint=_HINT)
    try:
        return str(references.parse(key)), None if value is None else references.parse(value)
    except LinwinError as error:
        raise InvalidRequest(f"{origin}: {key}: {error.message}", hint=_HINT) from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAXIMUM_BYTES + 1)
        if len(data) > _MAXIMUM_BYTES:
            raise InvalidRequest(f"{path} is larger than {_MAXIMUM_BYTES} bytes", hint=_HINT)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8 text", hint=_HINT) from error
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from error
