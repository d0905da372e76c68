"""Runs the processes that read contexts, and sees to it that none outlives its build."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from linwin.errors import Internal
from linwin.host.programs import last_words
from linwin.host.workers import end, ending, start_worker, tail
from linwin.sources import messages

GIVEN_UP = "the build's context is no longer read: a request about it was given up"


class Worker:
    """A process of :mod:`linwin.sources.worker`. Who asks waits for who asked before."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._complaints = asyncio.create_task(tail(process.stderr), name="complaints of a context's reader")
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
        words = last_words(complaints)
        return Internal(
            f"the process that reads the build's context {ending(self._process.returncode)}"
            + (f": {words}" if words else ""),
            hint="Nothing was changed; try again, and report it if it happens again.",
        )

    async def end(self) -> None:
        """Kill it, whatever it does, and reap it. Idempotent."""
        await end(self._process)
        self._complaints.cancel()
        await asyncio.gather(self._complaints, return_exceptions=True)


@asynccontextmanager
async def working() -> AsyncIterator[Worker]:
    """A worker that is gone when the context ends."""
    process = await start_worker("linwin.sources.worker", str(os.getpid()), limit=messages.LARGEST + 1)
    worker = Worker(process)
    try:
        yield worker
    finally:
        await worker.end()
