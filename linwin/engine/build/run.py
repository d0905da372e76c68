"""RUN: a container of the image so far, whose changes become a layer."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine import archive, commit
from linwin.engine.build import config as configuration
from linwin.engine.command import join
from linwin.engine.streams import Attachment
from linwin.errors import BuildFailed, CommandNotExecutable, CommandNotFound, InvalidRequest, OutOfMemory
from linwin.model.build import FromText, Instruction
from linwin.model.container import ContainerSpec
from linwin.model.health import HealthCheck
from linwin.model.network import EndpointSpec

if TYPE_CHECKING:
    from linwin.engine.build.stage import StageBuild
    from linwin.engine.engine import Created

SCRIPT = "Windows/Temp/linwin-heredoc.cmd"
"""Where cmd finds the text of a heredoc. It never reaches a layer."""
MISSING, NOT_EXECUTABLE = 127, 126
"""docker's exit codes of a program that is not there, and of one that is none."""


class RunTurns:
    """Lets the RUNs of stages be at work at once, as long as the host has room for their guests."""

    def __init__(self) -> None:
        self._working = 0
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        self._working += 1
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        self._working -= 1
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()

    async def room(self, error: OutOfMemory) -> None:
        """Wait until another has ended, which may have made room; raise ``error`` where none is at work.

        Who waits is not: of several that find no room, one gives up and the others try again.
        """
        if self._working <= 1:
            raise error
        ended = self._ended
        self._working -= 1
        try:
            await ended.wait()
        finally:
            self._working += 1


class RunStep:
    """One RUN of a stage."""

    def __init__(self, stage: StageBuild, instruction: Instruction) -> None:
        self._stage = stage
        self._build = stage.build
        self._instruction = instruction
        if len(instruction.heredocs) > 1:
            raise InvalidRequest(
                f"RUN has {len(instruction.heredocs)} heredocs, and a command has one input",
                hint="Bring the others in with COPY <<NAME FILE.",
            )
        self._heredoc = next(iter(instruction.heredocs), None)
        self._is_script = False
        self._words, self._escaped = self._command()
        self._env = stage.arguments.beside(stage.config.env)

    def _command(self) -> tuple[tuple[str, ...], bool]:
        """The words to run, and whether they are one line that is not to be escaped."""
        config, heredoc = self._stage.config, self._heredoc
        if heredoc is None:
            return configuration.command_of(config, self._instruction)
        shell = configuration.shell_of(config)
        marker = re.compile(rf"\s*<<-?([\"']?){re.escape(heredoc.name)}\1\s*")
        line = marker.sub(" ", self._instruction.words[0], count=1).strip()
        if line:  # the text is what the command reads
            return ((" ".join((*shell, line)),), True)
        if shell[0].lower().removesuffix(".exe") == "cmd":
            self._is_script = True
            path = "C:\\" + SCRIPT.replace("/", "\\")
            return ((" ".join((*shell, path)),), True)
        return (*shell, heredoc.content), False

    @property
    def created_by(self) -> str:
        """As docker's: with the arguments that it sees, and the heredoc's text."""
        line = self._words[0] if self._escaped else join(self._words)
        counted = f"|{len(self._env)} {' '.join(self._env)} " if self._env else ""
        text = f"\n{self._heredoc.content}" if self._heredoc and (self._is_script or self._reads) else ""
        return f"{counted}{line}{text}"

    @property
    def _reads(self) -> bool:
        """Whether the command reads the heredoc."""
        return self._heredoc is not None and self._escaped and not self._is_script

    async def make(self) -> Path | None:
        """Run the command, and give the layer of what it changed. Raises BuildFailed."""
        engine = self._build.engine
        async with self._build.run_turns.one():
            created = await self._created()
            keep = self._build.request.keep
            try:
                self._stage.say(f" ---> Running in {created.id[:12]}\n")
                await self._prepare(created.id)
                code = await self._run(created.id, created.warnings)
                if code != 0:
                    raise self._failed(code, created.warnings)
                container = await engine.inspect(created.id)
                layer = self._build.new_path(".layer")
                return await commit.write_layer(engine, container, layer, self._build.request.timestamp)
            except asyncio.CancelledError:
                keep = False  # nobody is there to look at it
                raise
            finally:
                if not keep:
                    await asyncio.shield(engine.remove(created.id, force=True, volumes=True))
                    self._stage.say(f" ---> Removed intermediate container {created.id[:12]}\n")

    async def _created(self) -> Created:
        """A container for the command. Who is cancelled meanwhile does not leave one."""
        engine = self._build.engine
        creating = asyncio.ensure_future(engine.create(self._spec(), None))
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            await asyncio.wait({creating})
            if creating.exception() is None:
                await engine.remove(creating.result().id, force=True, volumes=True)
            raise

    def _spec(self) -> ContainerSpec:
        request, config = self._build.request, self._stage.config
        return ContainerSpec(
            image=self._stage.image.id,
            entrypoint=(),
            cmd=self._words,
            args_escaped=self._escaped,
            env=(*self._env, *(f"{k}={v}" for k, v in self._stage.arguments.proxies.items())),
            working_dir=config.working_dir,
            user=config.user,
            health_check=HealthCheck(test=("NONE",)),
            memory=request.memory,
            cpus=request.cpus,
            endpoints=endpoints(request.network),
            extra_hosts=request.extra_hosts,
            open_stdin=self._reads,
            stdin_once=self._reads,
        )

    async def _prepare(self, container_id: str) -> None:
        """Put the heredoc's script where cmd finds it."""
        if not self._is_script:
            return
        assert self._heredoc is not None
        engine = self._build.engine
        await archive.disk_of(engine, await engine.inspect(container_id))
        packed = self._build.new_path(".tar")
        lines = self._heredoc.content.splitlines()
        text = "".join(f"{line}\r\n" for line in ("@echo off", *lines))
        await self._build.source.pack([FromText(text, SCRIPT)], packed)
        files = engine.rooms.disks.files(engine.paths.overlay(container_id))
        await files.write(commit.ROOT, packed, keep_kinds=False)
        await self._build.discard(packed)

    async def _run(self, container_id: str, warnings: tuple[str, ...]) -> int:
        engine = self._build.engine
        attachment = await engine.attach(
            container_id, stdin=self._reads, stdout=True, stderr=True, logs=False, stream=True
        )
        printing = asyncio.create_task(self._print(attachment), name=f"output of {container_id[:12]}")
        try:
            ended = await engine.wait(container_id, "next-exit")
            await self._start(container_id, warnings)
            if self._heredoc is not None and self._reads:
                await attachment.write(self._heredoc.content.encode())
                await attachment.close_stdin()
            exit_ = await ended
            await printing
            if exit_.error:
                raise BuildFailed(f"{self._shown}: {exit_.error}", exit_code=exit_.code)
            return exit_.code
        finally:
            await attachment.detach()
            printing.cancel()
            await asyncio.gather(printing, return_exceptions=True)

    async def _start(self, container_id: str, warnings: tuple[str, ...]) -> None:
        while True:
            try:
                await self._build.engine.start(container_id, lambda line: self._stage.say(f"{line}\n"))
                return
            except OutOfMemory as error:
                await self._build.run_turns.room(error)
            except (CommandNotFound, CommandNotExecutable) as error:
                code = MISSING if isinstance(error, CommandNotFound) else NOT_EXECUTABLE
                hint = "\n".join(warnings) or error.hint
                raise BuildFailed(error.message, exit_code=code, hint=hint) from error

    async def _print(self, attachment: Attachment) -> None:
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        async for stream, data in attachment:
            if text := decoders[stream].decode(data):
                self._stage.say(text)
                await self._build.tell.room()

    @property
    def _shown(self) -> str:
        return f"The command '{self._words[0] if self._escaped else join(self._words)}'"

    def _failed(self, code: int, warnings: tuple[str, ...]) -> BuildFailed:
        """``warnings`` are what is known of why it could not do its work."""
        return BuildFailed(
            f"{self._shown} returned a non-zero code: {code}",
            exit_code=code,
            hint="\n".join(warnings) or None,
        )


def endpoints(network: str) -> tuple[EndpointSpec, ...] | None:
    """The networks of a RUN: None for the default one."""
    if network in ("", "default"):
        return None
    return () if network == "none" else (EndpointSpec(network),)
