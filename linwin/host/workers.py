"""Processes that do heavy or dangerous work for the daemon, and end with it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

STDERR_KEPT = 4096
LINE_LIMIT = 1 << 16
"""Bytes of a line on a worker's stdout, unless it is said otherwise: asyncio's own."""


async def start_worker(module: str, *arguments: str, limit: int = LINE_LIMIT) -> asyncio.subprocess.Process:
    """A process that runs a module of ours, piped to us, in a session that :func:`end` kills as a whole."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=limit,
    )


async def tail(stderr: asyncio.StreamReader | None) -> bytes:
    """The end of what a worker complains of, once it has ended."""
    assert stderr is not None
    kept = b""
    while data := await stderr.read(STDERR_KEPT):
        kept = (kept + data)[-STDERR_KEPT:]
    return kept


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a worker that is still there, with what it started, and reap it. Idempotent."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


def ending(status: int | None) -> str:
    """How a process ended, for an error's sentence."""
    if status is not None and status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
