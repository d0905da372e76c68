"""What happens while a container runs, and when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from linwin.engine.live import Exit, Run
from linwin.errors import LinwinError, Unavailable
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

LOST = 255
"""The exit code of a container whose guest was lost."""
SHUTDOWN_TIMEOUT = 60.0
"""Seconds a guest may take to flush and unmount its disk before its machine is ended regardless."""
MACHINE_END_TIMEOUT = 2.0
"""Seconds between a guest's silence and its machine's end for the one to explain the other."""


def begin(engine: Engine, container: Container, run: Run) -> None:
    """Go on with a started (or adopted) run in the background."""
    live = engine.live(container.id)
    live.run = run
    live.streams.connect(run.process)
    live.task = asyncio.create_task(_run_to_end(engine, container, run), name=f"watch {container.short_id}")


async def _run_to_end(engine: Engine, container: Container, run: Run) -> None:
    live = engine.live(container.id)
    exit_ = await _outcome(engine, container, run)
    async with live.lock:
        await _clean_up(container, run, lost=bool(exit_.error))
        await engine.rooms.state.log(container.id).finish()
        await engine.rooms.state.advance(
            container.id, "exited", pid=0, exit_code=exit_.code, error=exit_.error, finished_at=time.time_ns()
        )
        live.run = None
        live.streams.end()
        live.waiters.release("not-running", exit_)
        live.waiters.release("next-exit", exit_)
    run.over.set_result(exit_)
    if container.spec.auto_remove:
        await engine.remove(container.id)


async def _outcome(engine: Engine, container: Container, run: Run) -> Exit:
    """Carry the run to its end and say how it ended."""
    try:
        await _pass_output(engine, container, run)
        return Exit(await run.process.wait())
    except LinwinError as lost:
        return Exit(LOST, await _why_lost(run, lost))
    except Exception as defect:  # a defect of ours must not leave the container running for ever
        logger.exception("container %s: its run was given up", container.short_id)
        return Exit(LOST, f"linwin gave the container up: {defect!r}")


async def _why_lost(run: Run, error: LinwinError) -> str:
    """What became of a guest that broke off: its machine's end says more than the broken connection."""
    try:
        async with asyncio.timeout(MACHINE_END_TIMEOUT):
            code = (await asyncio.shield(run.machine.exited)).code
        ended = f"by signal {-code}" if code is not None and code < 0 else f"with code {code}"
        sentence = f"the container's machine ended {ended}"
    except TimeoutError:
        sentence = error.message
    return f"{sentence}; last console lines: {' | '.join(await run.machine.console_tail()) or '(none)'}"


async def _pass_output(engine: Engine, container: Container, run: Run) -> None:
    """Log, hand on, acknowledge: a guest keeps its output until it is in the log.

    Nothing runs between the append and the hand-over, so that an attachment made
    at any time finds each chunk either in the log or in what is published.
    """
    log, streams = engine.rooms.state.log(container.id), engine.live(container.id).streams
    async for chunk in run.process.output():
        try:
            await log.append(chunk.stream, chunk.data)
        except Unavailable as full:
            # A full disk must not stop the program; docker's log drivers drop output likewise.
            logger.error("container %s: output is not logged: %s", container.short_id, full.message)
        await streams.publish(chunk.stream, chunk.data)
        await run.process.acknowledge(chunk)


async def _clean_up(container: Container, run: Run, *, lost: bool) -> None:
    """End the guest and its machine. A disk that is about to be removed needs no clean end."""
    if not (lost or container.spec.auto_remove):
        try:
            await run.guest.shutdown(timeout=SHUTDOWN_TIMEOUT)
        except LinwinError as error:
            logger.warning("container %s: its disk was not unmounted: %s", container.short_id, error.message)
    await run.guest.close()
    await run.machine.quit()
