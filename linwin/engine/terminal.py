"""Terminals of containers and execs: their size before the start, and changes of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from linwin.engine.interfaces import Process
from linwin.errors import Conflict, LinwinError

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

Size = tuple[int, int]
"""Rows and columns."""

DEFAULT_SIZE: Size = (24, 80)


def size(*wanted: Size) -> Size:
    """The first of ``wanted`` in which a character has room, or the default."""
    return next((size for size in wanted if all(size)), DEFAULT_SIZE)


async def resize(engine: Engine, reference: str, wanted: Size) -> None:
    """Change the size of a container's terminal; of one that does not run, remember it for its start.

    Without effect on a container without a terminal: clients resize by routine.
    Raises Conflict, in docker's words, for one that will not run any more.
    """
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    if container.status in ("removing", "dead"):
        raise Conflict(
            f"container {container.id} is not running", hint=f"Finish its removal: linwin rm {container.name}"
        )
    live.console_size = wanted
    engine.events.container(container, "resize", height=str(wanted[0]), width=str(wanted[1]))
    if container.spec.tty and live.run is not None:
        await live.run.process.resize(*wanted)


async def resize_exec(engine: Engine, exec_id: str, wanted: Size) -> None:
    """The same for an exec."""
    exec_ = engine.execs.get(exec_id)
    exec_.console_size = wanted
    if exec_.spec.tty and exec_.process is not None:
        await exec_.process.resize(*wanted)


async def catch_up(process: Process, had: Size, wanted: Size) -> None:
    """Give a terminal that was started with one size the other that was asked for meanwhile."""
    if had == wanted:
        return
    try:
        await process.resize(*wanted)
    except LinwinError as error:
        logger.warning("a terminal keeps its first size: %s", error.message)
