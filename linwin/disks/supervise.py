"""Runs worker processes and sees to it that none outlives its purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from linwin.disks.job import Advanced, Applied, Job, decode
from linwin.errors import Internal, LinwinError
from linwin.host.programs import last_words
from linwin.host.workers import end, ending, start_worker, tail
from linwin.layers import short


async def run_job(job: Job, advanced: Callable[[int], None]) -> Applied:
    """Run ``job`` in a process of its own.

    Raises what the worker reported, and Internal when it died. When the caller
    is cancelled, the worker and its export are killed before this returns.
    """
    process = await start_worker("linwin.disks.worker")
    try:
        async with asyncio.TaskGroup() as tasks:
            complaints = tasks.create_task(tail(process.stderr))
            tasks.create_task(send(process, job))
            result = tasks.create_task(listen(process.stdout, advanced))
        await process.wait()
    finally:
        await end(process)
    outcome = result.result()
    if isinstance(outcome, LinwinError):
        raise outcome
    if outcome is None or process.returncode != 0:
        raise died(job, process.returncode, complaints.result())
    return outcome


async def send(process: asyncio.subprocess.Process, job: Job) -> None:
    assert process.stdin is not None
    # A worker that is already dead is noticed by its exit status.
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(job.encode())
        await process.stdin.drain()
        process.stdin.close()


async def listen(
    stdout: asyncio.StreamReader | None, advanced: Callable[[int], None]
) -> Applied | LinwinError | None:
    """Pass progress on; return the worker's last message, None when it had none."""
    assert stdout is not None
    outcome: Applied | LinwinError | None = None
    async for line in stdout:
        if not line.endswith(b"\n"):
            break
        message = decode(line)
        if isinstance(message, Advanced):
            advanced(message.used)
        else:
            outcome = message
    return outcome


def died(job: Job, status: int | None, complaints: bytes) -> Internal:
    words = last_words(complaints)
    return Internal(
        f"layer {short(job.diff_id)}: its writer {ending(status)}" + (f": {words}" if words else ""),
        hint="nothing of the layer was kept; try again, and report it if it happens again",
    )
