"""A guest that is made ready for one container: powered on, and prepared to be it.

A restored guest that is lost meanwhile has cost nothing but time: it is replaced by one that boots.
Once a program may have begun nothing is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from linwin.engine import attach, lost
from linwin.engine.checkpoints import guest_spec, has_nic
from linwin.engine.create import MIB
from linwin.engine.power import Powered, Tell, power_on
from linwin.model.container import Container
from linwin.model.guest import Preparation
from linwin.model.machine import C_SERIAL, MachineSpec
from linwin.model.network import HostName
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine
    from linwin.engine.phases import Phases

logger = logging.getLogger(__name__)

ENTROPY = 64
"""Random bytes that each guest is given: twice what its generator holds."""


async def ready_guest(
    engine: Engine,
    container: Container,
    template: Template,
    spec: MachineSpec,
    undo: AsyncExitStack,
    tell: Tell,
    phases: Phases,
) -> Powered:
    """A guest that is this container but for its files and its program; ``undo`` ends it.

    Raises Unavailable, which says what became of a guest that was lost.
    """

    async def once(container: Container, spec: MachineSpec, *, cold: bool) -> Powered:
        hosts = await attach.hosts(engine, container)
        async with AsyncExitStack() as files, AsyncExitStack() as steps:
            powered = await power_on(engine, container, template, spec, steps, files, tell, cold=cold)
            phases.mark("guest")
            async with lost.explained(powered.machine, powered.guest, restored=powered.origin != "cold"):
                await _prepare(engine, container, powered, hosts)
            phases.mark("prepare")
            await undo.enter_async_context(steps.pop_all())
        return powered

    try:
        return await once(container, spec, cold=container.spec.cold)
    except lost.RestoredGuestLost as loss:
        engine.metrics.restores.labels("failed").inc()
        await engine.rooms.machine.discard_checkpoint(spec, loss.message)
        logger.warning("container %s: its restored guest was lost: %s", container.short_id, loss.message)
        tell(f"the guest booted cold: the one that was restored was lost: {loss.message}")
    container = await engine.rooms.state.get(container.id)  # a guest of the pool has brought another user
    await asyncio.to_thread(make_folders, engine, container)
    powered = await once(container, await machine_spec(engine, container, template), cold=True)
    engine.checkpoints.make_later(template, memory=spec.memory, cpus=spec.cpus)
    return powered


async def _prepare(
    engine: Engine, container: Container, powered: Powered, hosts: tuple[HostName, ...]
) -> None:
    """Make the guest this container, while the host makes its networks.

    The guest mounts its disk meanwhile, and waits for the NICs that it is told of.
    """
    interfaces, entropy = await attach.interfaces(engine, container), secrets.token_bytes(ENTROPY)
    wanted = Preparation(hostname(container), C_SERIAL, time.time_ns(), entropy, interfaces, hosts)
    works = [
        asyncio.create_task(
            attach.attach(engine, container, powered.machine, powered.tap), name="attaching to networks"
        ),
        asyncio.create_task(powered.guest.prepare(wanted), name="preparing a guest"),
    ]
    try:
        await asyncio.gather(*works)
    finally:  # where one failed the machine is of no use, and the other has nothing to wait for
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)


def make_folders(engine: Engine, container: Container) -> None:
    """Create the container's folder, and an empty run folder for its machine."""
    make_folder(engine, container)
    run_dir = engine.paths.machine(container.id)
    if run_dir.exists():
        shutil.rmtree(run_dir)
    run_dir.mkdir(mode=0o700)


def make_folder(engine: Engine, container: Container) -> None:
    """Create the container's folder."""
    engine.paths.container(container.id).mkdir(mode=0o711, parents=True, exist_ok=True)


async def machine_spec(engine: Engine, container: Container, template: Template) -> MachineSpec:
    """The machine that a container is started in."""
    return guest_spec(
        template,
        id=container.id,
        memory=container.spec.memory // MIB,
        cpus=container.spec.cpus,
        run_dir=engine.paths.machine(container.id),
        uid=container.uid,
        c_disk=engine.paths.overlay(container.id),
        nic=await has_nic(engine, template),
        title=f"linwin: {container.name}",
    )


def hostname(container: Container) -> str:
    """Its DNS name: with the domain, where it was given one, as docker tells it to Windows."""
    host, domain = container.spec.hostname or container.short_id, container.spec.domainname
    return f"{host}.{domain}" if domain else host
