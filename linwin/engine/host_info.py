"""What ``info`` and ``version`` tell about this host."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class HostInfo:
    """As docker counts containers, a paused one does not run, and what is not up is stopped."""

    accelerator: str
    hypervisor: str
    templates: tuple[Template, ...]
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    pool_ready: int = 0
    pool_size: int = 0


async def host_info(engine: Engine) -> HostInfo:
    count = Counter(container.status for container in await engine.list())
    running, paused = count["running"] + count["stopping"], count["paused"]
    return HostInfo(
        accelerator=await engine.rooms.machine.accelerator(),
        hypervisor=await engine.rooms.machine.version(),
        templates=tuple(await engine.templates()),
        containers_running=running,
        containers_paused=paused,
        containers_stopped=count.total() - running - paused,
        images=len(await engine.images()),
        pool_ready=engine.pool.ready,
        pool_size=engine.pool.plan.size,
    )
