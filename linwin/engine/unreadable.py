"""Containers whose record in the state cannot be read: what is theirs is kept until they are removed.

Another version of linwin wrote the record, or a disk damaged it. Such a container is
listed as dead with the reason, is not started, and is left alone by every prune. What
its record would tell is asked of its disk. A guest that still runs for it runs on, but
without networks: of a record that cannot be read no attachments are known, so this daemon
takes its addresses, ports and taps off the host, and gives them to others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from linwin.model.container import Container
from linwin.model.machine import MachineSpec
from linwin.model.upkeep import Finding

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


async def chain_ids(engine: Engine, containers: Iterable[Container]) -> set[str]:
    """The chains that containers stand on: as recorded, and where a record is lost, as the disk says."""
    ids = set()
    for container in containers:
        ids.add(container.chain_id)
        overlay = engine.paths.overlay(container.id)
        if container.unreadable and await asyncio.to_thread(overlay.exists):
            ids.add(await engine.rooms.disks.backing(overlay) or "")
    return ids - {""}


def host_users(engine: Engine, containers: Iterable[Container]) -> set[int]:
    """The host users that containers' machines and disks have."""
    users = set()
    for container in containers:
        users.add(container.uid)
        if container.unreadable:
            with suppress(FileNotFoundError):  # it never had one, or is being removed
                users.add(engine.paths.overlay(container.id).stat().st_uid)
    return users


def tell(container: Container) -> None:
    """Log what a new daemon finds.

    A guest that still runs may be adopted by a daemon that can read it, with its disk and its
    program; its networks are lost by then, until the container is started again.
    """
    logger.error("container %s (%s) is left alone: %s", container.short_id, container.name, container.error)


def findings(containers: Iterable[Container]) -> list[Finding]:
    """What a check says of them."""
    return [
        Finding(
            f"container {container.name}",
            f"is dead: {container.error}",
            "Install the linwin that wrote it, or restore state.db from a backup; "
            f"or remove it with its files: linwin rm {container.name}",
        )
        for container in containers
        if container.unreadable
    ]


async def end_machine(engine: Engine, container: Container) -> None:
    """End the machine that may still run for one, before its files go."""
    if container.unreadable:
        spec = MachineSpec.of_running(container.id, engine.paths.machine(container.id))
        if machine := await engine.rooms.machine.adopt(spec, 0):
            await machine.quit()
