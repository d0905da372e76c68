"""The files on a guest's C:, through its agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from linwin.errors import Internal, LinwinError, Unavailable, Unsupported
from linwin.guest.messages import REBUILD, WINDOWS, Failure, Malformed, number
from linwin.guest.session import Session
from linwin.guest.streams import WINDOW, InputStream, Output, OutputStream
from linwin.guest.tar_guard import TarGuard
from linwin.model.files import FileStat, VolumePath, shown_link

REQUEST_TIMEOUT = 120.0
STALLED = 300.0
"""Seconds in which a guest has to take or give something of an archive, or to say that it is done."""
PIECE = 1 << 20
LARGEST = (1 << 63) - 1
LONGEST_LINK = 16 << 10

Answer = asyncio.Future[Mapping[str, Any] | Failure]


class AgentFiles:
    """Implements :class:`linwin.engine.interfaces.Files`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def stat(self, path: VolumePath) -> FileStat:
        self._check("stat")
        answer = await self._session.request("stat", timeout=REQUEST_TIMEOUT, **place(path))
        if isinstance(answer, Failure):
            raise answer.error()
        try:
            return parse_stat(answer)
        except Malformed as error:
            raise self._session.breach(error) from error

    async def read(self, path: VolumePath) -> AsyncGenerator[bytes, None]:
        self._check("get")
        output = Output()
        stream = OutputStream(self._session, "stdout", output, 0)
        answer = self._session.start_request(
            "get", **place(path), base=path.base, stream=stream.number, window=WINDOW
        )
        answer.add_done_callback(lambda done: fail_output(output, done))
        guard = TarGuard(path.base)
        ended = False
        try:
            while (chunk := await next_of(output)) is not None:
                guard.feed(chunk.data)
                yield chunk.data
                stream.acknowledge(chunk.end)
            ended = True
            guard.end()
            await succeeded(answer)
        except Malformed as error:
            raise Internal(f"the guest's agent sent no archive: {error}") from error
        finally:
            if not ended:
                self._drop(stream, answer)

    async def write(self, path: VolumePath, archive: Path, *, keep_kinds: bool) -> None:
        self._check("put")
        stream = InputStream(self._session)
        answer = self._session.start_request(
            "put", path=path.relative, keep_kinds=keep_kinds, stream=stream.number
        )
        answer.add_done_callback(lambda _: stream.stop())
        try:
            await send(stream, archive)
            await succeeded(answer)
        except TimeoutError as error:
            raise stalled() from error
        finally:
            if not answer.done():
                self._session.start_request("drop", stream=stream.number)
                stream.stop()

    def _drop(self, stream: OutputStream, answer: Answer) -> None:
        """Have the agent give an archive up. What is on its way is taken until it has answered.

        One that failed has been given up: a drop would be of an archive that never begins.
        """
        if failed(answer) or self._session.failure is not None:
            self._session.close_stream(stream.number)
            return
        dropped = self._session.start_request("drop", stream=stream.number)
        dropped.add_done_callback(lambda _: self._session.close_stream(stream.number))

    def _check(self, op: str) -> None:
        hello = self._session.hello
        if op in hello.capabilities:
            return
        if hello.kind == WINDOWS:
            raise Unsupported(
                "files of a Windows guest cannot be copied while it runs yet",
                hint="Stop the container first: linwin cp takes and puts files of one at rest.",
            )
        raise Unavailable("the guest's agent cannot copy files", hint=REBUILD)


def place(path: VolumePath) -> dict[str, Any]:
    """The fields of a request that say what it is about."""
    return {"path": path.relative, "folder": path.is_folder}


def parse_stat(answer: Mapping[str, Any]) -> FileStat:
    """Raises Malformed."""
    link = answer.get("link", "")
    if not isinstance(link, str) or len(link) > LONGEST_LINK or not link.isprintable():
        raise Malformed("link is no text")
    kinds = answer.get("directory"), answer.get("read_only")
    if not all(isinstance(kind, bool) for kind in kinds):
        raise Malformed("directory or read_only is no truth value")
    return FileStat(
        number(answer, "size", LARGEST),
        is_directory=bool(kinds[0]),
        is_read_only=bool(kinds[1]),
        modified=number(answer, "modified", LARGEST),
        link=shown_link(link),
    )


def fail_output(output: Output, answer: Answer) -> None:
    """An archive that failed has no end of its own."""
    if failed(answer):
        output.lost(error_of(answer))


def failed(answer: Answer) -> bool:
    """Whether the agent has refused or given up the request."""
    if not answer.done() or answer.cancelled() or answer.exception() is not None:
        return False
    return isinstance(answer.result(), Failure)


def error_of(answer: Answer) -> LinwinError:
    failure = answer.result()
    assert isinstance(failure, Failure)
    return failure.error()


async def next_of(output: Output) -> Any:
    try:
        async with asyncio.timeout(STALLED):
            return await output.next()
    except TimeoutError as error:
        raise stalled() from error


async def send(stream: InputStream, archive: Path) -> None:
    """Send a file to its end, or until the agent has answered. Raises TimeoutError."""
    with await asyncio.to_thread(archive.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            async with asyncio.timeout(STALLED):
                await stream.write(piece)
    await stream.close()


async def succeeded(answer: Answer) -> None:
    async with asyncio.timeout(STALLED):
        result = await asyncio.shield(answer)
    if isinstance(result, Failure):
        raise result.error()


def stalled() -> Unavailable:
    return Unavailable(
        f"the guest's agent stood still for {STALLED:g} s while files were copied",
        hint="what was copied may be there in part; try again",
    )
