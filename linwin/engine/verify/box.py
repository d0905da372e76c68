"""A container under test: what its user could do with it, by the verbs that serve its user."""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.exec import TAKEN_ALONG, Exec
from linwin.engine.live import Run
from linwin.engine.streams import Attachment
from linwin.engine.verify.check import Failed, Unchecked
from linwin.errors import Unavailable
from linwin.model.container import Container
from linwin.model.exec import ExecSpec

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

MOST_PRINTED = 16 << 20
"""Bytes that a program of a check may print: what prints more is no program of ours."""
PIECE = 64 << 10
COPYING = frozenset({"get", "put", "stat"})
"""What an agent can that copies files; that of a Windows guest cannot yet."""
END_TOLD = 5.0
"""Seconds in which a guest's end is recorded, after its programs were lost with it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program did."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Its output, with Windows' line ends folded and without blanks around it."""
        return (self.out + self.err).decode(errors="replace").replace("\r\n", "\n").strip()


class Box:
    """A container by its id. Errors of the verbs are passed on."""

    def __init__(self, engine: Engine, id: str, folder: Path) -> None:
        """``folder`` is for archives on their way."""
        self._engine = engine
        self.id = id
        self._folder = folder

    async def container(self) -> Container:
        return await self._engine.inspect(self.id)

    def running(self) -> Run:
        """Its run. Raises Unavailable where it has none."""
        run = self._engine.live(self.id).run
        if run is None:
            raise Unavailable("the container does not run any more")
        return run

    async def cmd(self, script: str) -> Ran:
        return await self.run("cmd", "/c", script)

    async def run(
        self, *argv: str, stdin: bytes | None = None, env: tuple[str, ...] = (), cwd: str = "", user: str = ""
    ) -> Ran:
        """Run a program to its end; ``stdin`` None is for one that reads nothing.

        Raises Unavailable when the guest ends first.
        """
        has_input = stdin is not None
        spec = ExecSpec(argv, env, cwd, user, attach_stdin=has_input, attach_stdout=True, attach_stderr=True)
        exec_, attachment = await self._started(spec)
        feeding = asyncio.create_task(_feed(attachment, stdin or b""), name="feeding a check's program")
        printed = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            async for stream, data in attachment:
                printed[stream] += data
                if len(printed[stream]) > MOST_PRINTED:
                    raise Failed(f"at most {MOST_PRINTED} bytes of {argv[0]}", "more")
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await attachment.detach()
        if exec_.exit_code == TAKEN_ALONG:
            await self._check_alive()
        assert exec_.exit_code is not None, "its streams end after it has"
        return Ran(exec_.exit_code, bytes(printed["stdout"]), bytes(printed["stderr"]))

    @asynccontextmanager
    async def dialogue(
        self, *argv: str, size: tuple[int, int] | None = None, env: tuple[str, ...] = ()
    ) -> AsyncIterator[Dialogue]:
        """A program that is talked to while it runs, at a terminal where its size (rows, columns) is given.

        What is left of it at the end is for the container's end.
        """
        spec = ExecSpec(
            argv, env, tty=size is not None, attach_stdin=True, attach_stdout=True, attach_stderr=True,
            console_size=size or (0, 0),
        )  # fmt: skip
        exec_, attachment = await self._started(spec)
        try:
            yield Dialogue(self._engine, exec_, attachment)
        finally:
            await attachment.detach()

    async def _started(self, spec: ExecSpec) -> tuple[Exec, Attachment]:
        exec_ = await self._engine.exec_create(self.id, spec)
        attachment = exec_.attach()
        await self._engine.exec_start(exec_, (0, 0))
        return exec_, attachment

    async def _check_alive(self) -> None:
        """Raise Unavailable, with what is known of it, where the guest was lost under a program."""
        waiting = await self._engine.wait(self.id, "not-running")
        try:
            async with asyncio.timeout(END_TOLD):
                await waiting
        except TimeoutError:
            return
        raise Unavailable(f"the guest was lost: {(await self.container()).error or 'its program ended'}")

    # Files

    def _check_copies(self) -> None:
        """Raise Unchecked where it runs Windows, whose agent copies no files."""
        if (run := self._engine.live(self.id).run) is None:
            return
        agent = run.guest.agent
        if agent.kind == "windows" and not agent.capabilities >= COPYING:
            raise Unchecked("a Windows guest copies no files while it runs, nor tells their times")

    async def put(self, folder: str, name: str, content: bytes, modified: int) -> None:
        """Copy a file in; ``modified`` is in seconds since 1970."""
        self._check_copies()
        archive = self._folder / "archive.tar"
        await asyncio.to_thread(_pack, archive, name, content, modified)
        await self._engine.archive_write(self.id, folder, archive, keep_kinds=True)

    async def get(self, path: str) -> bytes:
        """Copy a file out."""
        self._check_copies()
        archive = io.BytesIO()
        async with self._engine.archive_read(self.id, path) as found:
            async for piece in found.pieces:
                archive.write(piece)
        archive.seek(0)
        return await asyncio.to_thread(_unpacked, archive)

    async def modified(self, path: str) -> int:
        """When a file was changed last, by the guest's clock where that changed it; ns since 1970."""
        self._check_copies()
        return (await self._engine.archive_stat(self.id, path)).modified


class Dialogue:
    """A user who reads what a program prints, and types."""

    def __init__(self, engine: Engine, exec_: Exec, attachment: Attachment) -> None:
        self._engine = engine
        self._exec = exec_
        self._attachment = attachment
        self._output = attachment.__aiter__()
        self._printed = bytearray()

    async def type(self, keys: bytes) -> None:
        await self._attachment.write(keys)

    async def resize(self, rows: int, columns: int) -> None:
        await self._engine.exec_resize(self._exec.id, rows, columns)

    async def until(self, text: bytes) -> bytes:
        """What it prints up to a text, which is taken away. Raises Failed when the program ends first."""
        while text not in self._printed:
            if (piece := await anext(self._output, None)) is None:
                raise Failed(f"a program that prints {text!r}", repr(bytes(self._printed[-200:])))
            self._printed += piece[1]
        end = self._printed.index(text) + len(text)
        seen = bytes(self._printed[:end])
        del self._printed[:end]
        return seen

    async def rest(self) -> bytes:
        """All that it prints until it ends."""
        async for _, data in self._output:
            self._printed += data
        return bytes(self._printed)


async def _feed(attachment: Attachment, data: bytes) -> None:
    for start in range(0, len(data), PIECE):
        await attachment.write(data[start : start + PIECE])
    await attachment.close_stdin()


def _pack(archive: Path, name: str, content: bytes, modified: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), modified
    with tarfile.open(archive, "w") as tar:
        tar.addfile(member, io.BytesIO(content))


def _unpacked(archive: io.BytesIO) -> bytes:
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            if (file := tar.extractfile(member)) is not None:
                return file.read()
    raise Failed("an archive with a file", "one without")
