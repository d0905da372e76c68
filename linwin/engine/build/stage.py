"""One stage of a build: its instructions, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from linwin.engine.build import config as configuration
from linwin.engine.build.arguments import Arguments
from linwin.engine.build.copy import Copy
from linwin.engine.build.image_files import ImageFiles
from linwin.engine.build.run import RunStep
from linwin.engine.build.words import Variables, expand
from linwin.errors import InvalidRequest
from linwin.model.build import BuildOutput, Instruction, NewFolder
from linwin.model.image import Image, RunConfig

if TYPE_CHECKING:
    from linwin.engine.build.build import Build

Make = Callable[[], Awaitable[Path | None]]
"""Carries a step out; gives its layer, None where it changed no file. The layer is the caller's to use up."""


class StageBuild:
    """What a stage has come to. ``number`` is its place in the file, from 0."""

    def __init__(self, build: Build, number: int, *, first_step: int, steps: int, is_target: bool) -> None:
        self.build = build
        self.number = number
        self.stage = build.dockerfile.stages[number]
        self.arguments = Arguments(build.given, build.outer.values)
        self.image: Image
        self.config = RunConfig()
        self._name = self.stage.name or str(number)
        self._step, self._steps = first_step, steps
        self._is_target = is_target
        self._author = ""
        self._cmd_is_own = False

    async def run(self) -> Image:
        """Carry out FROM, what the base image asks for, and the instructions."""
        self._say_step(self.stage.original)
        with naming(self.stage.line):
            await self._begin()
        self.say(f" ---> {short(self.image)}\n")
        await self._run_triggers()
        for instruction in self._instructions():
            self._step += 1
            self._say_step(instruction.original)
            with naming(instruction.line):
                await self._carry_out(instruction)
            self.say(f" ---> {short(self.image)}\n")
        return self.image

    def say(self, text: str) -> None:
        self.build.tell(BuildOutput(text, self._name, self._step, self._steps))

    def _say_step(self, text: str) -> None:
        self.say(f"Step {self._step}/{self._steps} : {text.rstrip()}\n")

    @property
    def variables(self) -> Variables:
        return self.arguments.variables(self.config.env)

    def words(self, instruction: Instruction) -> tuple[str, ...]:
        """The instruction's words with variables put in."""
        return configuration.expanded(instruction, self.variables, self.build.dockerfile.escape)

    # ---- FROM -----------------------------------------------------------------

    async def _begin(self) -> None:
        escape, outer = self.build.dockerfile.escape, self.build.outer.variables(())
        base = expand(self.stage.base, outer, escape)
        configuration.check_platform(expand(self.stage.platform, outer, escape))
        if not base:
            raise InvalidRequest(
                f"base name ({self.stage.base}) should not be blank",
                hint="An ARG before the first FROM gives its variables a value.",
            )
        if base.lower() == "scratch":
            raise InvalidRequest(
                "Windows does not support FROM scratch",
                hint="Start from a base image, such as microsoft/nanoserver.",
            )
        earlier = None if base.isdecimal() else self.build.stage_before(base, self.number)
        if earlier is None:
            self.image = await self.build.base_image(base)
        else:
            self.image = await self.build.stage_image(earlier)
        self.config = self.image.config
        self._author = self.image.author

    async def _run_triggers(self) -> None:
        """What the base image has ONBUILD. It is for this build, and for none that stands on it."""
        triggers = self.config.on_build
        if not triggers:
            return
        self.config = replace(self.config, on_build=())
        self.say(f"# Executing {len(triggers)} build trigger{'s' if len(triggers) > 1 else ''}\n")
        for instruction in await self.build.engine.rooms.sources.triggers(triggers):
            self.say(f"{instruction.original}\n")
            await self._carry_out(instruction)
            self.say(f" ---> {short(self.image)}\n")

    def _instructions(self) -> tuple[Instruction, ...]:
        """The stage's own, and those labels that the client wants the result to have."""
        labels = self.build.request.labels
        if not (self._is_target and labels):
            return self.stage.instructions
        words = tuple(word for pair in labels for word in pair)
        original = f"LABEL {' '.join(f'{name}={value}' for name, value in labels)}"
        line = self.stage.line
        return (*self.stage.instructions, Instruction("LABEL", words, original, line, is_json=True))

    # ---- instructions ---------------------------------------------------------

    async def _carry_out(self, instruction: Instruction) -> None:
        match instruction.name:
            case "ARG":
                await self._declare(instruction)
            case "MAINTAINER":
                self._author = " ".join(instruction.words)
                await self.step(f"MAINTAINER {self._author}", self.config)
            case "RUN":
                run = RunStep(self, instruction)
                await self.step(run.created_by, self.config, run.make, is_command=True)
            case "COPY" | "ADD":
                async with Copy(self, instruction) as copy:
                    await self.step(await copy.created_by(), self.config, copy.make)
            case "WORKDIR":
                await self._enter(instruction)
            case _:
                await self._configure(instruction)

    async def _declare(self, instruction: Instruction) -> None:
        for word in self.words(instruction):
            name, equals, value = word.partition("=")
            self.arguments.declare(name, value if equals else None)
        await self.step(f"ARG {' '.join(instruction.words)}", self.config)

    async def _configure(self, instruction: Instruction) -> None:
        words = instruction.words if instruction.is_json else self.words(instruction)
        config, shown = configuration.configured(self.config, instruction, words, cmd_is_own=self._cmd_is_own)
        self._cmd_is_own = self._cmd_is_own or instruction.name == "CMD"
        await self.step(shown, config)

    async def _enter(self, instruction: Instruction) -> None:
        """WORKDIR makes its folder, as docker's does on Windows."""
        config, shown = configuration.configured(self.config, instruction, self.words(instruction))
        target = configuration.on_volume(config.working_dir)

        async def make() -> Path | None:
            there = await ImageFiles(self.build, self.image).find(target)
            if there is not None and not there.is_directory:
                raise InvalidRequest(f"{config.working_dir} is a file, and no folder to work in")
            if there is not None:
                return None
            return await self.build.written(self.image, [NewFolder(target.relative)])

        await self.step(shown, config, make)

    async def step(
        self, text: str, config: RunConfig, make: Make | None = None, *, is_command: bool = False
    ) -> None:
        """Take what the step made before, or make it. ``text`` names all that it depends on."""
        build, shell = self.build, " ".join(configuration.shell_of(self.config))
        created_by = text if is_command else f"{shell} #(nop) {text}"
        latest = build.request.timestamp
        step = created_by if latest is None else f"{created_by} @{latest}"
        image = await build.cached(self.image, step)
        adopted = None if image is not None else build.adopted(self.image, created_by)
        if image is not None or adopted is not None:
            self.say(" ---> Using cache\n")
        if adopted is not None:
            image = await build.compose(self.image, config, created_by, step, adopted.layer, self._author)
        if image is None:
            layer = await make() if make is not None else None
            image = await build.compose(self.image, config, created_by, step, layer, self._author)
            if layer is not None:
                await build.discard(layer)
        self.image, self.config = image, config


@contextmanager
def naming(line: int) -> Iterator[None]:
    """Say of a mistake which line of the Dockerfile it is in."""
    try:
        yield
    except InvalidRequest as error:
        if not error.message.startswith("Dockerfile:"):
            error.message = f"Dockerfile:{line}: {error.message}"
        raise


def short(image: Image) -> str:
    return image.id.removeprefix("sha256:")[:12]
