"""Runs the processes that read contexts, and sees to it that none outlives its build."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from linwin.errors import Internal
from linwin.host.process import last_words
from linwin.sources import messages

STDERR_KEPT = 4096
GIVEN_UP = "the build's context is no longer read: a request about it was given up"


class Worker:
    """A process of :mod:`linwin.sources.worker`. Who asks waits for who asked before."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._complaints = asyncio.create_task(_tail(process.stderr), name="complaints of a context's reader")
        self._usable = True

    async def ask(self, verb: str, **arguments: Any) -> Any:
        """Have a request carried out; return its value. Raises what it failed with.

        Raises Internal when the process died. A caller that is cancelled leaves it of no use.
        """
        async with self._turn:
            if not self._usable:
                raise Internal(GIVEN_UP)
            self._usable = False
            line = await self._exchange(messages.of_request(verb, **arguments))
            self._usable = True
            return messages.answer_in(line)

    async def _exchange(self, request: bytes) -> bytes:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        line = b""
        # One that is already dead is noticed by what it does not answer.
        with suppress(BrokenPipeError, ConnectionResetError):
            stdin.write(request)
            await stdin.drain()
            line = await stdout.readline()
        if not line.endswith(b"\n"):
            await self._process.wait()
            raise self._died(await self._complaints)
        return line

    def _died(self, complaints: bytes) -> Internal:
        status = self._process.returncode or 0
        if status < 0:
            ending = f"was ended by {signal.Signals(-status).name}"
        else:
            ending = f"ended with status {status}"
        words = last_words(complaints)
        return Internal(
            f"the process that reads the build's context {ending}" + (f": {words}" if words else ""),
            hint="Nothing was changed; try again, and report it if it happens again.",
        )

    async def end(self) -> None:
        """Kill it, whatever it does, and reap it. Idempotent."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.shield(self._process.wait())
        self._complaints.cancel()
        await asyncio.gather(self._complaints, return_exceptions=True)


@asynccontextmanager
async def working() -> AsyncIterator[Worker]:
    """A worker that is gone when the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "linwin.sources.worker",
        str(os.getpid()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=messages.LARGEST + 1,
    )
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.end()


async def _tail(stderr: asyncio.StreamReader | None) -> bytes:
    assert stderr is not None
    kept = b""
    while data := await stderr.read(STDERR_KEPT):
        kept = (kept + data)[-STDERR_KEPT:]
    return kept
