"""Machines that are nothing but an entry in a table."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

from linwin.errors import Unavailable
from linwin.model.machine import MachineExit, MachineSpec
from linwin.paths import AGENT_SOCKET
from tests.scenario.fakes.gate import Gate


class FakeMachine:
    def __init__(self, machines: FakeMachines, spec: MachineSpec, pid: int) -> None:
        self._machines = machines
        self.spec = spec
        self._pid = pid
        self._exited: asyncio.Future[MachineExit] = asyncio.get_running_loop().create_future()
        self.plugged: dict[str, Path] = {}

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def agent_socket(self) -> Path:
        return self.spec.run_dir / AGENT_SOCKET

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        return self._exited

    async def plug_disk(self, image: Path, serial: str) -> None:
        assert os.access(image, os.R_OK), f"{image} was plugged before it was made"
        self.plugged[serial] = image

    async def quit(self) -> None:
        self.end(0)

    def end(self, code: int) -> None:
        """The machine's process ends."""
        self._machines.running.pop(self._pid, None)
        if not self._exited.done():
            self._exited.set_result(MachineExit(code))

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        return ("Kernel panic: this is a fake",)[-lines:]


class FakeMachines:
    """``running`` is by pid; set ``broken`` to make boots fail; ``booting`` is set when one begins.

    A ``gate`` holds boots.
    """

    def __init__(self) -> None:
        self.running: dict[int, FakeMachine] = {}
        self.broken: str | None = None
        self.booting = asyncio.Event()
        self.gate: Gate | None = None
        self._pids = itertools.count(1_000_000)

    async def accelerator(self) -> str:
        return "tcg"

    async def version(self) -> str:
        return "QEMU 7.2.22"

    async def boot(self, spec: MachineSpec) -> FakeMachine:
        if self.broken:
            raise Unavailable(self.broken, hint="This is a fake.")
        self.booting.set()
        await (self.gate.passed() if self.gate else asyncio.sleep(0))
        machine = FakeMachine(self, spec, next(self._pids))
        self.running[machine.pid] = machine
        return machine

    async def adopt(self, spec: MachineSpec, pid: int) -> FakeMachine | None:
        return self.running.get(pid)
