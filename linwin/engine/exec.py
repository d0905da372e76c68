"""exec: run a program in a running container, beside its own.

Execs live in memory only, as docker's do: a daemon that dies takes its knowledge
of them along, and what they printed is in no log.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING

from linwin.daemon_log import context_about
from linwin.engine import command, pause, policy, terminal
from linwin.engine.create import left_out_hint, working_dir
from linwin.engine.interfaces import Process
from linwin.engine.live import Run
from linwin.engine.streams import Attachment, Streams
from linwin.errors import CommandNotFound, Conflict, InvalidRequest, LinwinError, NotFound
from linwin.model.container import Container
from linwin.model.exec import ExecSpec
from linwin.model.guest import ProcessSpec, StreamName

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

NOT_EXECUTABLE = 126
NOT_FOUND = 127
TAKEN_ALONG = 137
"""The exit code of an exec whose container ended first: docker's, for a kill."""
KEPT = 600.0
"""Seconds in which an exec that is over can be inspected; docker's sweep leaves five to ten minutes."""


class Exec:
    """One exec: what was asked for, and what became of it.

    ``exit_code`` is None until it has ended. A client that attached before the
    start sees the streams end only after ``exit_code`` is set.
    """

    def __init__(self, container_id: str, spec: ExecSpec) -> None:
        self.id = secrets.token_hex(32)
        self.container_id = container_id
        self.spec = spec
        self.console_size = spec.console_size
        self.exit_code: int | None = None
        self.started = False
        self.streams = Streams()
        self.process: Process | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.started and self.exit_code is None

    def attach(self) -> Attachment:
        """A client's end of its streams, as far as create asked for them."""
        wanted: set[StreamName] = set()
        wanted |= {"stdout"} if self.spec.attach_stdout else set()
        wanted |= {"stderr"} if self.spec.attach_stderr else set()
        attachment = Attachment(
            self.streams,
            history=None,
            stdin=self.spec.attach_stdin,
            half_close=not self.spec.tty,
            wanted=frozenset(wanted),
        )
        self.streams.attach(attachment)
        return attachment

    def end(self, exit_code: int) -> None:
        """Say how it ended, and only then let go of its clients."""
        self.exit_code = exit_code
        self.process = None
        self.streams.end()


class Execs:
    """All execs of all containers, by id."""

    def __init__(self) -> None:
        self._execs: dict[str, Exec] = {}

    def add(self, exec_: Exec) -> None:
        self._execs[exec_.id] = exec_

    def get(self, exec_id: str) -> Exec:
        """Raises NotFound in docker's words."""
        if exec_id not in self._execs:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self._execs[exec_id]

    def of(self, container_id: str) -> list[str]:
        """Ids of a container's execs that are not over, oldest first."""
        return [
            exec_.id
            for exec_ in self._execs.values()
            if exec_.container_id == container_id and exec_.exit_code is None
        ]

    def keep_for_a_while(self, exec_: Exec) -> None:
        """Forget an exec that is over, but not yet: its client is about to ask for the exit code."""
        asyncio.get_running_loop().call_later(KEPT, self._execs.pop, exec_.id, None)

    def end_of(self, container_id: str) -> None:
        """The container's run is over: what was never started never will be."""
        for exec_id in self.of(container_id):
            exec_ = self._execs[exec_id]
            if not exec_.started:
                self._execs.pop(exec_id)
                exec_.end(TAKEN_ALONG)


async def create(engine: Engine, reference: str, spec: ExecSpec) -> Exec:
    """Note what is to be run in a running container. Raises Conflict when it does not run."""
    container = await engine.rooms.state.get(reference)
    _run_of(engine, container)
    if not spec.argv or not spec.argv[0]:
        raise InvalidRequest("No exec command specified", hint="Name the program to run after the container.")
    if spec.working_dir:
        working_dir(spec.working_dir)
    exec_ = Exec(container.id, spec)
    engine.execs.add(exec_)
    _tell(engine, container, exec_, "exec_create", detailed=True)
    return exec_


async def check_startable(engine: Engine, exec_id: str) -> Exec:
    """The exec, if it may be started now. Raises NotFound or Conflict in docker's words."""
    exec_ = engine.execs.get(exec_id)
    _check_new(exec_)
    container = await engine.rooms.state.get(exec_.container_id)
    _run_of(engine, container)
    return exec_


def _check_new(exec_: Exec) -> None:
    if exec_.exit_code is not None:
        raise Conflict(f"exec command {exec_.id} has already run", hint="Create another exec.")
    if exec_.started:
        raise Conflict(f"exec command {exec_.id} is already running", hint="Create another exec.")


async def start(engine: Engine, exec_: Exec, console_size: tuple[int, int]) -> None:
    """Run it. One that cannot be run is over, with docker's exit code for why, and raises why."""
    container = await engine.rooms.state.get(exec_.container_id)
    run = _run_of(engine, container)
    _check_new(
        engine.execs.get(exec_.id)
    )  # with nothing awaited until it counts as started: of two starts, one is refused
    exec_.started = True
    size = terminal.size(console_size, exec_.console_size)
    try:
        process = await run.guest.spawn(exec_.id, process_spec(container, exec_.spec, size))
    except BaseException as error:
        if isinstance(error, CommandNotFound):
            error.hint = await left_out_hint(engine, container, exec_.spec.argv[0]) or error.hint
        _over(engine, exec_, NOT_FOUND if isinstance(error, CommandNotFound) else NOT_EXECUTABLE)
        raise
    exec_.process = process
    exec_.streams.connect(process)
    _tell(engine, container, exec_, "exec_start", detailed=True)
    exec_.task = asyncio.create_task(
        _run_to_end(engine, container, exec_, process),
        name=f"exec {exec_.id[:12]}",
        context=context_about(container.id),
    )
    if exec_.spec.tty:
        await terminal.catch_up(process, size, terminal.size(exec_.console_size, size))


def process_spec(container: Container, spec: ExecSpec, size: terminal.Size) -> ProcessSpec:
    """The exec's words over the container's own; ``size`` is its terminal's, if it is to have one."""
    return command.in_container(
        container,
        command.Command(spec.argv),
        env=command.merge_env(container.env, spec.env),
        cwd=spec.working_dir,
        user=spec.user,
        stdin=spec.attach_stdin,
        terminal=size if spec.tty else None,
    )


async def _run_to_end(engine: Engine, container: Container, exec_: Exec, process: Process) -> None:
    try:
        code = await _follow(exec_, process)
    except LinwinError as lost:
        logger.info("exec %s: its container ended first: %s", exec_.id[:12], lost.message)
        code = TAKEN_ALONG
    except Exception:  # a defect of ours must not leave its client waiting for ever
        logger.exception("exec %s was given up", exec_.id[:12])
        code = TAKEN_ALONG
    _over(engine, exec_, code)
    try:
        container = await engine.rooms.state.get(container.id)  # which may have been renamed
    except LinwinError as error:
        logger.info("exec %s: its end is told of the container as it was: %s", exec_.id[:12], error.message)
    _tell(engine, container, exec_, "exec_die", exitCode=str(code))


async def _follow(exec_: Exec, process: Process) -> int:
    """Hand output to whoever is attached, and else drop it, until the program has ended."""
    ending = asyncio.create_task(process.wait(), name=f"exit of exec {exec_.id[:12]}")
    ending.add_done_callback(lambda _: exec_.streams.hurry())
    try:
        async for chunk in process.output():
            await exec_.streams.publish(chunk.stream, chunk.data)
            await process.acknowledge(chunk)
        return await ending
    finally:
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)


def _over(engine: Engine, exec_: Exec, code: int) -> None:
    exec_.end(code)
    engine.execs.keep_for_a_while(exec_)


def _tell(
    engine: Engine, container: Container, exec_: Exec, action: str, *, detailed: bool = False, **more: str
) -> None:
    """``detailed`` puts the command line into the action, as docker does where it is of interest."""
    action = f"{action}: {' '.join(exec_.spec.argv)}" if detailed else action
    engine.events.container(container, action, execID=exec_.id, **more)


def _run_of(engine: Engine, container: Container) -> Run:
    policy.refuse(container)
    run = engine.live(container.id).run
    if run is None:
        raise Conflict(
            f"container {container.id} is not running", hint=f"Start it first: linwin start {container.name}"
        )
    pause.refuse(container, "exec")
    return run
