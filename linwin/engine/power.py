"""Getting a container's guest up: out of the pool, restored from a checkpoint, or booted."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from linwin.engine.interfaces import Guest, Machine
from linwin.errors import LinwinError, OutOfMemory, Unavailable
from linwin.model.container import Container
from linwin.model.machine import FirmwareBoot, MachineSpec
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

Tell = Callable[[str], None]

HELLO_TIMEOUT = {"kvm": 60.0, "tcg": 300.0}
"""Seconds from power-on to the agent's hello before a guest counts as dead."""
WINDOWS_TIMEOUT = {"kvm": 900.0, "tcg": 5400.0}
"""The same for a guest that firmware starts: at its first start Windows sets itself up, and restarts."""
RESTORED_TIMEOUT = {"kvm": 10.0, "tcg": 60.0}
"""The same for a guest that is restored, whose agent has been up before."""

Origin = Literal["cold", "restored", "pooled"]
"""Where a guest came from: one of the pool was restored before it was needed."""

NOTHING_YET = "there was no checkpoint for its size"


@dataclass(frozen=True, slots=True)
class Powered:
    """A guest that said hello, its machine, and the tap of the NIC that this has from its start."""

    machine: Machine
    guest: Guest
    origin: Origin
    tap: int | None


async def spare_tap(engine: Engine, spec: MachineSpec, files: AsyncExitStack | ExitStack) -> int | None:
    """The tap of a machine that starts with a NIC; ``files`` closes it, which its QEMU has open too."""
    if not spec.nic:
        return None
    tap = await engine.rooms.network.spare_tap()
    files.callback(os.close, tap)
    return tap


async def power_on(
    engine: Engine,
    container: Container,
    template: Template,
    spec: MachineSpec,
    undo: AsyncExitStack,
    files: AsyncExitStack,
    tell: Tell,
    *,
    cold: bool,
) -> Powered:
    """A guest that said hello; ``undo`` ends both. A cold boot that was not asked for is told.

    ``files`` closes the tap, which the machine has open itself.
    """
    if not cold and (up := await engine.pool.take(container, spec, undo, files)) is not None:
        return Powered(up.machine, up.guest, "pooled", up.tap)
    tap = await spare_tap(engine, spec, files)
    try:
        return await _restored_or_cold(engine, container, template, spec, tap, undo, tell, cold=cold)
    except OutOfMemory:
        if not await engine.pool.drop():
            raise
        return await _restored_or_cold(engine, container, template, spec, tap, undo, tell, cold=cold)


async def _restored_or_cold(
    engine: Engine,
    container: Container,
    template: Template,
    spec: MachineSpec,
    tap: int | None,
    undo: AsyncExitStack,
    tell: Tell,
    *,
    cold: bool,
) -> Powered:
    if cold or not engine.checkpoints.wanted(template):
        return await _cold(engine, container, spec, tap, undo)
    restores = engine.metrics.restores
    try:
        if (up := await _restored(engine, container, spec, tap, undo)) is not None:
            restores.labels("hit").inc()
            return up
        restores.labels("miss").inc()
        why = NOTHING_YET
    except OutOfMemory:
        raise
    except LinwinError as error:
        restores.labels("failed").inc()
        why = error.message
    booted = await _cold(engine, container, spec, tap, undo)
    making = engine.checkpoints.make_later(template, memory=spec.memory, cpus=spec.cpus)
    tell(f"the guest booted cold: {why}" + ("; it is being made" if making else ""))
    return booted


async def _restored(
    engine: Engine, container: Container, spec: MachineSpec, tap: int | None, undo: AsyncExitStack
) -> Powered | None:
    timeout = RESTORED_TIMEOUT[await engine.rooms.machine.accelerator()]
    machine = await engine.rooms.machine.restore(spec, tap)
    if machine is None:
        return None
    try:
        return await _greet(engine, container, machine, tap, timeout, undo, boot="restored")
    except LinwinError as error:
        await engine.rooms.machine.discard_checkpoint(spec, error.message)
        raise


async def _cold(
    engine: Engine, container: Container, spec: MachineSpec, tap: int | None, undo: AsyncExitStack
) -> Powered:
    is_windows = isinstance(spec.boot, FirmwareBoot)
    timeouts = WINDOWS_TIMEOUT if is_windows else HELLO_TIMEOUT
    timeout = timeouts[await engine.rooms.machine.accelerator()]
    machine = await engine.rooms.machine.boot(spec, tap)
    return await _greet(engine, container, machine, tap, timeout, undo, boot="cold", is_windows=is_windows)


async def _greet(
    engine: Engine,
    container: Container,
    machine: Machine,
    tap: int | None,
    timeout: float,
    undo: AsyncExitStack,
    *,
    boot: Literal["cold", "restored"],
    is_windows: bool = False,
) -> Powered:
    """Note that the machine is there, and wait for its agent; neither is left when that fails."""
    async with AsyncExitStack() as steps:
        steps.push_async_callback(machine.quit)
        await engine.rooms.state.advance(container.id, "starting", pid=machine.pid, boot=boot)
        try:
            with engine.live(container.id).looked_at(machine, takes_long=is_windows):
                guest = await engine.rooms.guest.connect(machine, timeout=timeout)
        except LinwinError as error:
            if not is_windows:
                raise
            raise await _did_not_come_up(engine, container, machine, error) from error
        steps.push_async_callback(guest.close)
        await undo.enter_async_context(steps.pop_all())
    return Powered(machine, guest, boot, tap)


async def _did_not_come_up(
    engine: Engine, container: Container, machine: Machine, error: LinwinError
) -> Unavailable:
    """Say how far a Windows guest was, with a picture of its screen, which is about to go dark."""
    doing = "while it started" if container.started_at else "at its first start, while it set itself up"
    look = (
        f"Look on at its next start: linwin console --follow {container.name}, "
        f"linwin screenshot {container.name}. docs/windows.md says what may be wrong."
    )
    picture = await _last_picture(engine, container, machine)
    if picture is not None:
        look = f"What its screen showed last is in {picture}. {look}"
    return Unavailable(f"Windows did not come up ({doing}): {error.message}", hint=look)


async def _last_picture(engine: Engine, container: Container, machine: Machine) -> Path | None:
    """Keep a picture of the screen with the container; None where there is none to be had or kept."""
    if container.spec.auto_remove or machine.exited.done():
        return None
    path = engine.paths.last_screen(container.id)
    try:
        await asyncio.to_thread(_store, path, await machine.screenshot())
    except (LinwinError, OSError) as failure:
        logger.warning("container %s: there is no picture of its screen: %s", container.short_id, failure)
        return None
    return path


def _store(path: Path, picture: bytes) -> None:
    path.touch(mode=0o600)  # what a screen shows is nobody else's business
    path.write_bytes(picture)
