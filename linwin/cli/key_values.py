"""``-e``, ``--env-file``, ``--label`` and ``--label-file``: what they hold, as the API takes it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from linwin.errors import InvalidRequest


def environment(files: Iterable[str], settings: Sequence[str]) -> list[str]:
    """``NAME=value`` strings of all ``--env-file`` and then all ``-e``; later ones win in the engine.

    A name alone is inherited: from ``-e`` also where it has no value, which takes it away.
    """
    lines = []
    for name, value in (pair for file in files for pair in _pairs(file, "environment")):
        if value is not None or name in os.environ:
            lines.append(f"{name}={os.environ[name] if value is None else value}")
    for setting in settings:
        if setting.startswith("=") or not setting:
            raise InvalidRequest(
                f"invalid environment variable: {setting!r}", hint="write NAME=VALUE or NAME"
            )
        name, separator, _ = setting.partition("=")
        inherited = f"{name}={os.environ[name]}" if not separator and name in os.environ else setting
        lines.append(inherited)
    return lines


def labels(files: Iterable[str], settings: Iterable[str]) -> dict[str, str]:
    """Those of all ``--label-file`` and then all ``--label``; a name alone has an empty value."""
    found = {name: value or "" for file in files for name, value in _pairs(file, "label")}
    for setting in settings:
        name, _, found[name] = setting.partition("=")
    return found


def _pairs(path: str, kind: str) -> Iterator[tuple[str, str | None]]:
    """Lines of ``NAME=value``, or of ``NAME`` alone, which has None; ``#`` starts a comment line."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidRequest(f"cannot read the {kind} file {path}: {reason}") from error
    for number, line in enumerate(lines, 1):
        line = line.lstrip()
        if not line or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not name or name.split() != [name]:
            noun = "variable" if kind == "environment" else kind
            raise InvalidRequest(
                f"invalid {noun} name in {path}, line {number}: {name!r}",
                hint="write NAME=VALUE on each line",
            )
        yield name, value if separator else None
