"""The daemon's configuration file, ``/etc/linwin/linwin.toml``.

TOML; every setting may be missing, and so may the file. What is not known is
refused, so that a misspelt setting is not silently without effect.
docs/configuration.md describes the settings for people.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linwin.errors import InvalidRequest, Unavailable
from linwin.model.pool import PoolPlan

DEFAULT_PATH = Path("/etc/linwin/linwin.toml")
LARGEST_FILE = 1 << 20
MOST_POOLED = 64
MOST_MEMORY = 1 << 20
MOST_CPUS = 64


@dataclass(frozen=True, slots=True)
class Configuration:
    """All settings of one file, each field a table of it."""

    pool: PoolPlan = field(default_factory=PoolPlan)


def from_environment() -> Configuration:
    """Read the file that ``LINWIN_CONFIG`` names, which must exist, or the usual one, which need not.

    Raises InvalidRequest for what the file says, Unavailable for one that cannot be read.
    """
    named = os.environ.get("LINWIN_CONFIG")
    path = Path(named) if named else DEFAULT_PATH
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        if not named:
            return Configuration()
        raise Unavailable(f"cannot read {path}: it does not exist") from error
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {error.strerror}") from error
    return parse(text, str(path))


def parse(text: bytes, where: str) -> Configuration:
    """The configuration that a file holds. Raises InvalidRequest, naming the file ``where``."""
    if len(text) > LARGEST_FILE:
        raise InvalidRequest(f"{where} is larger than {LARGEST_FILE >> 20} MiB")
    try:
        tables = tomllib.loads(text.decode())
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, and of numbers too long for Python
        raise InvalidRequest(f"{where} is not TOML: {error}") from error
    _known(tables, ("pool",), where, "")
    pool = tables.get("pool", {})
    if not isinstance(pool, dict):
        raise InvalidRequest(f"{where}: pool is no table", hint="Write [pool] on a line of its own.")
    _known(pool, ("size", "template", "memory", "cpus"), where, "pool.")
    template = pool.get("template", "")
    if not isinstance(template, str):
        raise InvalidRequest(
            f"{where}: pool.template is {template!r}", hint='Give a template\'s name, as in "wine".'
        )
    return Configuration(
        PoolPlan(
            size=_count(pool, "size", MOST_POOLED, where),
            template=template,
            memory=_count(pool, "memory", MOST_MEMORY, where),
            cpus=_count(pool, "cpus", MOST_CPUS, where),
        )
    )


def _known(table: Mapping[str, Any], names: tuple[str, ...], where: str, prefix: str) -> None:
    for name in table:
        if name not in names:
            raise InvalidRequest(
                f"{where}: there is no setting {prefix}{name}",
                hint=f"Known are: {', '.join(prefix + known for known in names)}",
            )


def _count(table: Mapping[str, Any], name: str, most: int, where: str) -> int:
    value = table.get(name, 0)
    if type(value) is not int or not 0 <= value <= most:
        raise InvalidRequest(
            f"{where}: pool.{name} is {value!r}", hint=f"Give a whole number from 0 to {most}."
        )
    return value
