"""A process in a guest, as the engine's interface has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from linwin.errors import LinwinError, Unavailable
from linwin.guest.messages import REBUILD, Failure, Malformed, number
from linwin.guest.session import Session
from linwin.guest.streams import WINDOW, InputStream, Output, OutputStream
from linwin.model.guest import Chunk, ProcessSpec

REQUEST_TIMEOUT = 120.0
"""Seconds: a program's start may wait for a cold disk under software emulation."""
MAX_OFFSET = (1 << 63) - 1


def _terminal(spec: ProcessSpec) -> dict[str, Any]:
    """The field of an exec request that asks for a terminal."""
    if spec.terminal is None:
        return {}
    rows, columns = spec.terminal
    return {"terminal": {"rows": rows, "columns": columns}}


class GuestProcess:
    """Implements :class:`linwin.engine.interfaces.Process`."""

    def __init__(
        self, session: Session, process_id: str, *, stdin: bool, stdout: int = 0, stderr: int = 0
    ) -> None:
        self._session = session
        self._id = process_id
        self._output = Output()
        self._stdout = OutputStream(session, "stdout", self._output, stdout)
        self._stderr = OutputStream(session, "stderr", self._output, stderr)
        self._stdin = InputStream(session) if stdin else None
        self._exit: asyncio.Future[Mapping[str, Any] | Failure] | None = None

    async def exec(self, spec: ProcessSpec) -> None:
        """Start it. Raises CommandNotFound and the like; no stream is open then."""
        try:
            if spec.terminal is not None and "resize" not in self._session.hello.capabilities:
                raise Unavailable("the guest's agent gives no program a terminal", hint=REBUILD)
            answer = await self._session.request(
                "exec",
                timeout=REQUEST_TIMEOUT,
                process=self._id,
                # One of the two: a long command line must fit into the request.
                argv=[] if spec.command_line is not None else list(spec.argv),
                command_line=spec.command_line,
                env=dict(spec.env),
                cwd=spec.cwd,
                user=spec.user,
                **_terminal(spec),
                **({"transient": True} if spec.transient else {}),
                streams=self._streams(),
            )
            if isinstance(answer, Failure):
                raise answer.error(of_command=True)
        except LinwinError:
            self._close_streams()
            raise
        self._follow()

    async def adopt(self, *, stdout: int, stderr: int) -> bool:
        """Take it over from an earlier session; False when the guest does not know it."""
        try:
            answer = await self._session.request(
                "adopt",
                timeout=REQUEST_TIMEOUT,
                process=self._id,
                stdout=stdout,
                stderr=stderr,
                streams=self._streams(),
            )
            if isinstance(answer, Failure) and answer.kind != "not-found":
                raise answer.error()
        except LinwinError:
            self._close_streams()
            raise
        if isinstance(answer, Failure):
            self._close_streams()
            return False
        self._resume_stdin(answer)
        self._follow()
        return True

    async def output(self) -> AsyncIterator[Chunk]:
        while (chunk := await self._output.next()) is not None:
            yield chunk

    async def acknowledge(self, chunk: Chunk) -> None:
        stream = self._stdout if chunk.stream == "stdout" else self._stderr
        stream.acknowledge(chunk.end)

    async def write(self, data: bytes) -> None:
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        if self._stdin is not None:
            await self._stdin.close()

    async def wait(self) -> int:
        assert self._exit is not None, "made by exec or adopt"
        answer = await asyncio.shield(self._exit)
        if isinstance(answer, Failure):
            raise answer.error()
        try:
            return number(answer, "exit_code", 0xFFFFFFFF)
        except Malformed as error:
            raise self._session.breach(error) from error

    async def signal(self, name: str) -> None:
        answer = await self._session.request("signal", timeout=REQUEST_TIMEOUT, process=self._id, name=name)
        if isinstance(answer, Failure):
            raise answer.error()

    async def resize(self, rows: int, columns: int) -> None:
        answer = await self._session.request(
            "resize", timeout=REQUEST_TIMEOUT, process=self._id, rows=rows, columns=columns
        )
        if isinstance(answer, Failure):
            raise answer.error()

    def _streams(self) -> dict[str, int]:
        stdin = self._stdin.number if self._stdin else 0
        return {
            "stdin": stdin,
            "stdout": self._stdout.number,
            "stderr": self._stderr.number,
            "window": WINDOW,
        }

    def _close_streams(self) -> None:
        for stream in (self._stdin, self._stdout, self._stderr):
            if stream is not None:
                self._session.close_stream(stream.number)

    def _follow(self) -> None:
        """Ask for the end now: stdin must learn of it whether or not anybody waits."""
        self._exit = self._session.start_request("wait", process=self._id)
        self._exit.add_done_callback(self._ended)

    def _ended(self, _: object) -> None:
        if self._stdin is not None:
            self._stdin.stop()

    def _resume_stdin(self, answer: Mapping[str, Any]) -> None:
        if self._stdin is None:
            return
        if answer.get("stdin") is None:
            self._stdin.stop()
            return
        try:
            self._stdin.resume(number(answer, "stdin", MAX_OFFSET))
        except Malformed as error:
            self._session.breach(error)
