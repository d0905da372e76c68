"""A guest that runs the programs of :mod:`fakes.programs`, with the flow control of a real one."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from linwin.engine.interfaces import Machine, Mold
from linwin.errors import CommandNotExecutable, CommandNotFound, Unavailable
from linwin.model.files import parse_entry
from linwin.model.guest import Agent, Chunk, Preparation, ProcessSpec, StreamName
from linwin.model.machine import C_SERIAL, FirmwareBoot
from linwin.model.mount import GuestMount
from linwin.model.network import Interface
from linwin.model.usage import DiskUsage, NetworkUsage, ProcessInfo, Usage
from tests.scenario.fakes.files import FakeFile, FakeFiles, folded, read_members, write_members
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.machine import FakeMachine
from tests.scenario.fakes.programs import KILLED, PROGRAMS, resolve

WINDOW = 256 * 1024
"""Bytes of one stream that may be unacknowledged."""
PIECE = 32 * 1024
CPU_TIME = 36_012_340_000
"""An hour and 1.234 seconds in units of 100 ns."""
USAGE = Usage(
    cpu=0,
    processors=2,
    private=4 << 20,
    commit=8 << 20,
    commit_peak=9 << 20,
    disk=DiskUsage(1, 2000, 3, 4000),
    networks={"eth0": NetworkUsage(5000, 1, 0, 6000, 1, 0)},
)


AGENT = Agent(
    "wine",
    "of-the-fakes",
    1,
    frozenset({
        "adopt", "clock", "drop", "exec", "flush", "forget", "get", "mount", "net", "prepare", "processes",
        "put", "rehearse", "resize", "shutdown", "signal", "stat", "stats", "unmount", "wait", "warm",
    }),
)  # fmt: skip
Program = Callable[["FakeProcess"], Awaitable[int]]


@dataclass(frozen=True)
class Death:
    """How a session ends while its guest is made a container; ``code`` is the machine's, if that ends."""

    told: str
    code: int | None


class Computer(Protocol):
    """What programs run on, where that is more than a table of them."""

    def check(self, spec: ProcessSpec) -> None:
        """Raise what a guest's agent answers to a program that it cannot start."""

    async def run(self, guest: FakeGuest, process: FakeProcess) -> int: ...


class GuestLost(Exception):
    """Raised by a program to take its guest down with it."""


class FakeProcess:
    """Implements :class:`linwin.engine.interfaces.Process`, and is what a program sees of its guest."""

    def __init__(self, guest: FakeGuest, spec: ProcessSpec) -> None:
        self.spec = spec
        self._guest = guest
        self._chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self._printed: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._acknowledged: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._input: deque[bytes] = deque()
        self._input_ended = not spec.stdin
        self._changed = asyncio.Condition()
        self.signals: asyncio.Queue[str] = asyncio.Queue()
        self.sizes: asyncio.Queue[tuple[int, int]] = asyncio.Queue()
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._killed_unborn)
        self.largest_backlog = 0

    # What a program does

    def store(self, name: str, text: str) -> None:
        """Write a file on C:."""
        self._guest.store(name, text)

    @property
    def sick(self) -> bool:
        return self._guest.sick

    async def print(self, data: bytes, stream: StreamName = "stdout") -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            async with self._changed:
                await self._changed.wait_for(lambda: self._backlog(stream) + PIECE <= WINDOW)
            self._printed[stream] += len(piece)
            self.largest_backlog = max(self.largest_backlog, self._backlog(stream))
            self._chunks.put_nowait(Chunk(stream, piece, self._printed[stream]))

    def _backlog(self, stream: StreamName) -> int:
        return self._printed[stream] - self._acknowledged[stream]

    async def read(self) -> bytes:
        """Some input; empty at its end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._input or self._input_ended)
            data = self._input.popleft() if self._input else b""
            self._changed.notify_all()
            return data

    async def _run(self) -> None:
        program = self._guest.program(self.spec)
        try:
            code = await program(self)
        except asyncio.CancelledError:
            code = KILLED
        except GuestLost:
            self._guest.machine.end(-6)
            self._exit.set_exception(Unavailable("the guest was lost", hint="This is a fake."))
            self._exit.exception()  # it may be that nobody waits
        else:
            self._exit.set_result(code)
        if not self._exit.done():
            self._exit.set_result(KILLED)
        self._chunks.put_nowait(None)

    def _killed_unborn(self, _: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step runs nothing, not even its except clauses."""
        if not self._exit.done():
            self._exit.set_result(KILLED)
            self._chunks.put_nowait(None)

    # What the engine asks

    async def output(self) -> AsyncIterator[Chunk]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk

    async def acknowledge(self, chunk: Chunk) -> None:
        async with self._changed:
            self._acknowledged[chunk.stream] = chunk.end
            self._changed.notify_all()

    async def write(self, data: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._input) < 8 or self._exit.done())
            if not self._exit.done():
                self._input.append(data)
                self._changed.notify_all()

    async def close_stdin(self) -> None:
        async with self._changed:
            self._input_ended = True
            self._changed.notify_all()

    @property
    def over(self) -> bool:
        return self._exit.done()

    async def acknowledged(self, stream: StreamName, count: int) -> None:
        """Wait until so many bytes are acknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._acknowledged[stream] >= count)

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    async def signal(self, name: str) -> None:
        if name == "KILL":
            self._task.cancel()
        else:
            self.signals.put_nowait(name)

    async def resize(self, rows: int, columns: int) -> None:
        assert self.spec.terminal is not None, "only a terminal is resized"
        if not self._exit.done():
            self.sizes.put_nowait((rows, columns))

    async def end(self) -> None:
        """The guest is going away and takes the process along."""
        self._task.cancel()
        await asyncio.wait([self._task])


class FakeGuest:
    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.resting = False
        self.prepared: Preparation | None = None
        self.interfaces: dict[str, Interface] = {}
        self.mute = False
        self.unmountable: Unavailable | None = None
        self.mounts: list[GuestMount] = []
        self.ended_by = ""
        self.warmed = False
        self.flushed = 0
        self.rehearsed = False
        self.sick = False
        self.clockless = False
        self.lost: Unavailable | None = None
        self.dies: Death | None = None
        self.clock: list[int] = []
        self.usage: Usage | Exception = Usage(
            0,
            2,
            4 << 20,
            8 << 20,
            9 << 20,
            DiskUsage(1, 2000, 3, 4000),
            {"eth0": NetworkUsage(5000, 1, 0, 6000, 1, 0)},
        )
        self.agent = AGENT
        self.computer: Computer | None = None
        self.times: dict[tuple[str, ...], int] = {}
        self.asked = asyncio.Event()
        self.adopted: dict[str, int] = {}
        self.running: dict[str, FakeProcess] = {}
        machine.exited.add_done_callback(lambda _: self._end_all())
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def runs_on_c(self) -> bool:
        return isinstance(self.machine.spec.boot, FirmwareBoot)

    async def warm(self) -> None:
        if self.mute:
            raise Unavailable("this guest cannot be warmed")
        assert not self.running, "a guest with processes in it was frozen"
        self.warmed = True

    async def rehearse(self, c_serial: str) -> None:
        assert c_serial == C_SERIAL
        assert self.prepared is None, "a container's guest was made to rehearse"
        self.rehearsed = True

    async def prepare(self, preparation: Preparation) -> None:
        if self.dies is not None:
            self.lost = Unavailable(self.dies.told, hint="look at its console")
            if self.dies.code is not None:
                self.machine.end(self.dies.code)
            raise self.lost
        assert preparation.c_serial == C_SERIAL
        assert self.machine.disk is not None
        assert self.machine.disk.name == "c.qcow2", "a container was prepared with another disk than its own"
        for interface in preparation.interfaces:
            await self.machine.has_nic(interface.found or interface.mac)  # as the agent, which waits for them
            await self.connect_interface(interface)
        self.prepared = preparation

    async def mount(self, mounts: Sequence[GuestMount]) -> None:
        assert self.prepared is not None
        assert not self.running, "files were mounted under a program that runs"
        if self.unmountable is not None:
            raise self.unmountable
        self.mounts += mounts

    async def unmount(self, *, timeout: float) -> None:
        assert self.mounts, "what was not mounted is to be written out"
        for process in self.running.values():
            await process.end()
        self.ended_by = "unmount"

    async def connect_interface(self, interface: Interface) -> None:
        for nic_id, mac in self.machine.nics.items():
            if mac == interface.found:
                self.machine.nics[nic_id] = interface.mac
        assert interface.mac in self.machine.nics.values(), "a NIC is configured before it was plugged"
        self.interfaces[interface.mac] = interface

    async def forget_interface(self, mac: str) -> None:
        self.interfaces.pop(mac, None)

    async def set_clock(self, time_ns: int) -> None:
        if self.clockless:
            raise Unavailable("this guest's clock cannot be set")
        self.clock.append(time_ns)

    def program(self, spec: ProcessSpec) -> Program:
        if self.computer is not None:
            return partial(self.computer.run, self)
        return PROGRAMS[resolve(spec.argv)[0]]

    async def spawn(self, process_id: str, spec: ProcessSpec) -> FakeProcess:
        if self.computer is not None:
            self.computer.check(spec)
            process = self.running[process_id] = FakeProcess(self, spec)
            return process
        program = resolve(spec.argv)[0]
        if program == "denied":
            raise CommandNotExecutable(f'exec: "{program}": permission denied')
        if program not in PROGRAMS:
            raise CommandNotFound(
                f"container encountered an error during CreateProcess: {program}: "
                "The system cannot find the file specified.",
                hint="Check the path and the spelling.",
            )
        process = FakeProcess(self, spec)
        self.running[process_id] = process
        return process

    async def adopt(self, process_id: str, *, stdout: int, stderr: int) -> FakeProcess | None:
        self.adopted = {"stdout": stdout, "stderr": stderr}
        return self.running.get(process_id)

    async def flush(self) -> None:
        assert not self.resting, "a guest that is halted was asked to write something"
        if self.mute:
            raise Unavailable("this guest writes nothing out")
        self.flushed += 1

    async def processes(self) -> list[ProcessInfo]:
        if isinstance(self.usage, Exception):
            raise self.usage
        running = [process for process in self.running.values() if not process.over]
        return [
            ProcessInfo(
                40 + 4 * index, f"{resolve(process.spec.argv)[0]}.exe", 36_000_000_000 + 12_340_000, 1_364_000
            )
            for index, process in enumerate(running)
        ]

    async def stats(self) -> Usage:
        """Counters that grow by half a second of CPU each time they are read."""
        self.asked.set()
        if isinstance(self.usage, Exception):
            raise self.usage
        self.usage = dataclasses.replace(self.usage, cpu=self.usage.cpu + 5_000_000)
        return self.usage

    @property
    def files(self) -> FakeFiles:
        assert self.machine.disk is not None
        return FakeFiles(self.machine.disk, open_in_a_guest=True, times=self.times)

    def content(self, name: str) -> bytes:
        """What is in a file on C:, nothing where there is none."""
        assert self.machine.disk is not None
        files = {folded(file.parts): file for file in read_members(self.machine.disk)}
        found = files.get(folded(parse_entry(name)))
        return (found.content or b"") if found else b""

    def store(self, name: str, text: str) -> None:
        """Write a file on C: as the guest's own programs do."""
        disk = self.machine.disk
        assert disk is not None
        files = {folded(file.parts): file for file in read_members(disk)}
        parts = parse_entry(name)
        files[folded(parts)] = FakeFile(parts, text.encode())
        self.times[folded(parts)] = time.time_ns()
        write_members(disk, files.values())

    async def shutdown(self, *, timeout: float) -> None:
        self.ended_by = "shutdown"
        for process in self.running.values():
            await process.end()

    def rest(self, value: bool) -> None:
        self.resting = value

    async def close(self) -> None:
        return None

    def _end_all(self) -> None:
        for process in self.running.values():
            task = asyncio.ensure_future(process.end())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class FakeGuests:
    """``silent`` makes guests that never say hello, ``mute`` those that cannot be warmed, and
    ``unmountable`` is what those say that cannot mount. Each of the ``deaths`` is that of one
    guest, which is lost before it is a container. Of those with a ``computer`` programs run on that.

    A ``gate`` holds hellos. A guest outlives the sessions with it.
    """

    def __init__(self) -> None:
        self.silent = False
        self.gate: Gate | None = None
        self.mute = False
        self.unmountable: Unavailable | None = None
        self.deaths: list[Death] = []
        self.computer: Computer | None = None
        self.agent = AGENT
        self._guests: dict[FakeMachine, FakeGuest] = {}

    def opening(self, session: str) -> bytes:
        return session.encode()

    async def connect(self, machine: Machine | Mold, *, timeout: float) -> FakeGuest:
        assert isinstance(machine, FakeMachine)
        if self.gate:
            passing = asyncio.ensure_future(self.gate.passed())
            race: list[asyncio.Future[Any]] = [passing, machine.exited]
            await asyncio.wait(race, return_when=asyncio.FIRST_COMPLETED)
            passing.cancel()
            if machine.exited.done():
                raise Unavailable("the machine ended before its agent said hello")
        if self.silent:
            raise Unavailable(
                f"the guest's agent did not say hello within {timeout:.0f} s",
                hint="The last line on its console was: Kernel panic: this is a fake",
            )
        if machine not in self._guests:
            self._guests[machine] = FakeGuest(machine)
            self._guests[machine].mute = self.mute
            self._guests[machine].unmountable = self.unmountable
            self._guests[machine].dies = self.deaths.pop(0) if self.deaths else None
            self._guests[machine].computer = self.computer
            self._guests[machine].agent = self.agent
        return self._guests[machine]

    @property
    def all(self) -> list[FakeGuest]:
        return list(self._guests.values())

    @property
    def last_guest(self) -> FakeGuest:
        """The guest that was connected to first of those made last."""
        return list(self._guests.values())[-1]

    @property
    def adopted(self) -> dict[str, int]:
        """From where on the daemon wanted the output of the process that it adopted last."""
        return list(self._guests.values())[-1].adopted

    @property
    def last(self) -> FakeProcess:
        """The process that was started last."""
        return list(list(self._guests.values())[-1].running.values())[-1]
