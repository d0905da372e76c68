"""start: from a container at rest to a running program. ``start`` is the table of contents."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from linwin.engine import (
    attach,
    command,
    copy_up,
    health,
    lost,
    remove,
    sharing,
    stop,
    terminal,
    unserved,
    watch,
)
from linwin.engine.create import left_out_hint
from linwin.engine.live import Exit, Run
from linwin.engine.phases import Phases
from linwin.engine.pool import own
from linwin.engine.power import Tell
from linwin.engine.ready import machine_spec, make_folders, ready_guest
from linwin.errors import (
    CommandNotExecutable,
    CommandNotFound,
    Conflict,
    LinwinError,
    Unavailable,
    unreadable,
)
from linwin.model.container import Container, Status
from linwin.model.guest import ProcessSpec
from linwin.model.mount import GuestMount
from linwin.model.template import Template

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


async def by_hand(engine: Engine, reference: str, tell: Tell) -> bool:
    """Start a container for its user; False when it was running already."""
    container = await engine.rooms.state.get(reference)
    live = engine.live(container.id)
    try:
        async with live.lock:
            container = await stop.settle(engine, await engine.rooms.state.get(container.id))
            if container.status in ("running", "restarting"):
                return False
            if container.status == "paused":
                raise Conflict("cannot start a paused container, try unpause instead")
            check_startable(container)
            live.delay = 0.0
            await start(engine, container, tell)
            return True
    except BaseException as error:
        if isinstance(error, CommandNotFound):
            error.hint = await left_out_hint(engine, container, container.argv[0]) or error.hint
        if container.spec.auto_remove and container.status in ("created", "exited"):
            await remove.auto_remove(engine, container)
        raise


async def start(engine: Engine, container: Container, tell: Tell, *, by_hand: bool = True) -> None:
    """Get the container's machine up, make it this container, and run its program.

    ``by_hand`` is false for a restart by policy, which counts on.
    """
    rooms, overlay, live = engine.rooms, engine.paths.overlay(container.id), engine.live(container.id)
    template = await rooms.templates.get(container.template)
    log, phases = rooms.state.log(container), Phases()
    spec = await machine_spec(engine, container, template)
    async with engine.admission.admitted(spec), AsyncExitStack() as undo:
        undo.push_async_exit(partial(_take_back, engine, container))
        container = await rooms.state.advance(
            container.id,
            "starting",
            starts=container.starts + 1,
            error="",
            exit_code=0,
            stopped_by_hand=False,
            restart_count=0 if by_hand else container.restart_count,
        )
        unserved.refuse(template, container)
        container = await attach.reserve(engine, container, nic=spec.nic)
        await asyncio.to_thread(make_folders, engine, container)
        await make_overlay(engine, container, template)
        await copy_up.fill(engine, container)
        await asyncio.to_thread(own, overlay, container.uid)
        phases.mark("overlay")
        offering = asyncio.create_task(sharing.offer(engine, container), name="sharing files")
        undo.push_async_callback(_give_up, offering)
        powered = await ready_guest(engine, container, template, spec, undo, tell, phases)
        machine, guest = powered.machine, powered.guest
        size = terminal.size(live.console_size, container.spec.console_size)
        async with lost.explained(machine, guest):
            if mounts := await offering:
                await guest.mount(mounts)
                phases.mark("mount")
            process = await guest.spawn(process_id(container), process_spec(container, size))
        phases.mark("spawn")
        undo.push_async_callback(log.finish)
        await log.begin(container.starts)
        container = await rooms.state.advance(
            container.id, "running", started_at=time.time_ns(), health=health.at_start(container)
        )
        undo.pop_all()
    phases.mark("state")
    logger.info("container %s started in %s", container.short_id, phases)
    engine.metrics.started(phases, powered.origin)
    engine.events.container(container, "start")
    run = Run(machine, guest, process)
    watch.begin(engine, container, run)
    health.begin(engine, container, run)
    engine.pool.refill()
    if container.spec.tty:
        await terminal.catch_up(process, size, terminal.size(live.console_size, size))


async def _give_up(offering: asyncio.Task[tuple[GuestMount, ...]]) -> None:
    """Wait for what is of no use any more: what it offered is about to be taken back."""
    offering.cancel()
    await asyncio.gather(offering, return_exceptions=True)


async def make_overlay(engine: Engine, container: Container, template: Template) -> None:
    """Give the container its own disk, on the end of its image's chain, unless it has one."""
    rooms, overlay = engine.rooms, engine.paths.overlay(container.id)
    if overlay.exists():
        return
    image = await rooms.images.resolve(container.image_id)
    async with engine.chains.using():
        chain_id, chain_end = await rooms.disks.chain(template, image.layers, engine.unreported)
        # Not always the one of create: the template may have been built anew since.
        await rooms.state.amend(container.id, chain_id=chain_id)
        await rooms.disks.overlay(chain_end, overlay, uid=container.uid)


def check_startable(container: Container) -> None:
    """Raise Conflict, in docker's words where docker knows the state, for a container that may not start."""
    if container.unreadable:
        raise unreadable(container.name, container.error)
    if container.status in ("removing", "dead"):
        raise Conflict(
            "container is marked for removal and cannot be started",
            hint=f"Finish its removal with linwin rm {container.name}, and create it anew.",
        )
    if container.status == "stopping":
        raise Conflict(
            f"container {container.short_id} is stopping",
            hint=f"Wait for its end, then start it: linwin wait {container.name}",
        )


async def _take_back(
    engine: Engine,
    container: Container,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    """Put a container whose start failed back to rest, and say why, as docker does, on the container.

    The state is asked how far the start came: one that is cancelled while a change
    is being committed does not know.
    """
    container = await engine.rooms.state.get(container.id)
    if container.status not in ("starting", "running"):
        return  # the start was refused
    try:
        await asyncio.to_thread(abandon, engine, container)
    except OSError as left:
        logger.warning("container %s: its failed start left files: %s", container.short_id, left)
    code = (
        127 if isinstance(error, CommandNotFound) else 126 if isinstance(error, CommandNotExecutable) else 128
    )
    message = error.message if isinstance(error, LinwinError) else f"the start was cut short: {error!r}"
    await engine.rooms.state.advance(
        container.id, at_rest(container), pid=0, exit_code=code, error=message, attachments=()
    )
    await attach.release(engine, container)
    live = engine.live(container.id)
    live.streams.end()
    live.waiters.release("not-running", Exit(code, message))
    if isinstance(error, OSError):
        raise Unavailable(
            f"cannot start container {container.short_id}: {error}",
            hint="Check the disk that holds LINWIN_ROOT.",
        ) from error


def at_rest(container: Container) -> Status:
    """What a container is when its start came to nothing: as it was before."""
    return "exited" if container.started_at else "created"


def abandon(engine: Engine, container: Container) -> None:
    """Take back what a failed start made; the disk stays, since files may have been copied to it before."""
    run_dir = engine.paths.machine(container.id)
    if run_dir.exists():
        shutil.rmtree(run_dir)


def process_id(container: Container) -> str:
    """Names the main process of one start to the guest's agent."""
    return f"{container.short_id}-{container.starts}"


def process_spec(container: Container, size: terminal.Size) -> ProcessSpec:
    """``size`` is its terminal's, if it is to have one."""
    return command.in_container(
        container,
        command.Command(container.argv, container.command_line),
        stdin=container.spec.open_stdin,
        terminal=size if container.spec.tty else None,
    )
