"""What happens while a container runs, and when it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from linwin.daemon_log import context_about
from linwin.engine import attach, health, lost, policy, remove, sharing
from linwin.engine.live import LOST, Exit, Run
from linwin.errors import LinwinError, Unavailable
from linwin.model.container import Container

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

SHUTDOWN_TIMEOUT = 60.0
"""Seconds a guest may take to flush and unmount its disk before its machine is ended regardless."""
SWITCH_OFF_TIMEOUT = 120.0
"""Seconds that Windows may take to shut down: it stops its services first, which have 20 s each."""


def begin(engine: Engine, container: Container, run: Run) -> None:
    """Go on with a started (or adopted) run in the background."""
    live = engine.live(container.id)
    live.run = run
    live.streams.connect(run.process)
    live.task = asyncio.create_task(
        _run_to_end(engine, container, run),
        name=f"watch {container.short_id}",
        context=context_about(container.id),
    )


async def _run_to_end(engine: Engine, container: Container, run: Run) -> None:
    live = engine.live(container.id)
    exit_ = await _outcome(engine, container, run)
    async with live.lock:
        if run.monitor is not None:
            await run.monitor.rest()
        doomed = container.spec.auto_remove and not live.restarts
        exit_ = await _shut_down(container, run, exit_, doomed=doomed)
        try:
            await _clean_up(engine, container, run, exit_)
            run.over.set_result(exit_)
        except Exception as failure:  # those who wait for the end must not wait for ever
            logger.exception("container %s: its end was not recorded", container.short_id)
            run.over.set_exception(failure)
            run.over.exception()  # it is logged: no warning where nobody waits
        if run.again:
            live.interrupted.clear()
        live.run = None
        engine.execs.end_of(container.id)
        live.streams.end()
        live.waiters.release("not-running", exit_)
        live.waiters.release("next-exit", exit_)
    if run.again:
        await engine.follow_restart(container.id)
    elif container.spec.auto_remove and not live.restarts:
        await remove.auto_remove(engine, container)


async def _outcome(engine: Engine, container: Container, run: Run) -> Exit:
    """Carry the run to its end and say how it ended."""
    try:
        return await _follow(engine, container, run)
    except Exception as defect:  # a defect of ours must not leave the container running for ever
        logger.exception("container %s: its run was given up", container.short_id)
        return Exit(LOST, f"linwin gave the container up: {defect!r}")


async def _follow(engine: Engine, container: Container, run: Run) -> Exit:
    """Pass output on until both it and the process have ended, or the guest is lost."""
    streams = engine.live(container.id).streams
    ending = asyncio.create_task(run.process.wait(), name=f"exit {container.short_id}")
    ending.add_done_callback(lambda _: streams.hurry())
    try:
        await _pass_output(engine, container, run)
        return Exit(await ending)
    except LinwinError as error:
        return Exit(LOST, await lost.sentence(run.machine, error))
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


async def _pass_output(engine: Engine, container: Container, run: Run) -> None:
    """Log, hand on, acknowledge: a guest keeps its output until it is in the log.

    Nothing runs between the append and the hand-over, so that an attachment made
    at any time finds each chunk either in the log or in what is published.
    """
    log, streams = engine.rooms.state.log(container), engine.live(container.id).streams
    async for chunk in run.process.output():
        try:
            await log.append(chunk.stream, chunk.data)
        except Unavailable as full:
            # A full disk must not stop the program; docker's log drivers drop output likewise.
            logger.error("container %s: output is not logged: %s", container.short_id, full.message)
            engine.metrics.failed("log", full)
        else:
            engine.metrics.output_bytes.labels(chunk.stream).inc(len(chunk.data))
        await streams.publish(chunk.stream, chunk.data)
        await run.process.acknowledge(chunk)


async def _shut_down(container: Container, run: Run, exit_: Exit, *, doomed: bool) -> Exit:
    """Let the guest write its disk out; an exit that says so where it could not.

    Neither a lost guest nor a disk that is about to be removed gets a clean end. Files of the host
    do also where the disk does not.
    """
    if exit_.error or (doomed and not sharing.wanted(container)):
        return exit_
    lacking, were = ("mounts", "were") if doomed else ("disk", "was")
    try:
        if doomed:
            await run.guest.unmount(timeout=SHUTDOWN_TIMEOUT)
        else:
            await run.guest.shutdown(timeout=SHUTDOWN_TIMEOUT)
            if run.guest.runs_on_c:
                await _switch_off(run)
        return exit_
    except LinwinError as failure:
        why = failure.message
        logger.warning("container %s: its %s %s not written out: %s", container.short_id, lacking, were, why)
    except Exception as defect:  # whatever it is, the machine must end and the end be recorded
        why = repr(defect)
        logger.exception("container %s: its %s %s not written out", container.short_id, lacking, were)
    return Exit(exit_.code, f"the container's {lacking} may lack what was written last: {why}")


async def _switch_off(run: Run) -> None:
    """Have a guest that runs on C: close it, which its system does last of all."""
    await run.machine.press_power_button()
    try:
        async with asyncio.timeout(SWITCH_OFF_TIMEOUT):
            await asyncio.shield(run.machine.exited)
    except TimeoutError as error:
        raise Unavailable(f"Windows did not shut down within {SWITCH_OFF_TIMEOUT:g} s") from error


async def _clean_up(engine: Engine, container: Container, run: Run, exit_: Exit) -> None:
    """End the guest and its machine, and record the end. Whatever of it fails, the rest is done."""
    async with AsyncExitStack() as steps:  # from the last to the first
        steps.push_async_callback(_record, engine, container, run, exit_)
        steps.push_async_callback(engine.rooms.state.log(container).finish)
        steps.push_async_callback(run.machine.quit)
        steps.push_async_callback(run.guest.close)


async def _record(engine: Engine, container: Container, run: Run, exit_: Exit) -> None:
    """Write the end down, and whether the container's policy, which may be a new one, lets it be the end."""
    container = await engine.rooms.state.get(container.id)
    again = not run.asked_to_end and policy.wanted(container, exit_.code)
    ended = await engine.rooms.state.advance(
        container.id,
        "restarting" if again else "exited",
        pid=0,
        exit_code=exit_.code,
        error=exit_.error,
        finished_at=time.time_ns(),
        restart_count=container.restart_count + again,
        health=health.at_end(container),
        attachments=(),
    )
    run.ended, run.again = ended, again
    engine.metrics.restarts.inc(again)
    ran = (ended.finished_at - ended.started_at) // 10**9
    engine.events.container(ended, "die", exitCode=str(exit_.code), execDuration=str(ran))
    await attach.release(engine, container)  # last: should it fail, the end is what it is
