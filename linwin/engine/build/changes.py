"""``--change``: instructions that say how an image's containers run, without a build."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linwin.engine.build.config import configured, expanded
from linwin.engine.build.words import Variables
from linwin.model.image import RunConfig

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

ESCAPE = "\\"
"""docker's default: a change has no directive that names another."""


async def applied(engine: Engine, config: RunConfig, lines: Sequence[str]) -> RunConfig:
    """``config`` after the instructions in ``lines``. Raises InvalidRequest."""
    if not lines:
        return config
    cmd_is_own = False
    for instruction in await engine.rooms.sources.changes(lines):
        words = expanded(instruction, Variables(config.env), ESCAPE)
        config, _ = configured(config, instruction, words, cmd_is_own=cmd_is_own)
        cmd_is_own = cmd_is_own or instruction.name == "CMD"
    return config
