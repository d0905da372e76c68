"""Machines that are nothing but an entry in a table."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from linwin.errors import NotFound, Unavailable
from linwin.model.machine import FIRST_MAC, FIRST_NIC, Abilities, Checkpoint, MachineExit, MachineSpec, Room
from linwin.model.network import Attachment
from linwin.paths import AGENT_SOCKET
from tests.scenario.fakes.gate import Gate

PICTURE = b"\x89PNG\r\n\x1a\n a picture"


class FakeLine:
    """The end of a line whose other end sends ``greeting`` and then what it gets, in capitals."""

    def __init__(self, greeting: bytes) -> None:
        self._coming: asyncio.Queue[bytes] = asyncio.Queue()
        if greeting:
            self._coming.put_nowait(greeting)
        self.ended = False
        self.closed = False

    async def receive(self) -> bytes:
        return await self._coming.get()

    async def send(self, data: bytes) -> None:
        if self.ended:
            raise Unavailable("the machine ended before it took all of what was typed")
        self._coming.put_nowait(data.upper())

    def end(self) -> None:
        """The machine has ended."""
        self.ended = True
        self._coming.put_nowait(b"")

    def close(self) -> None:
        self.closed = True


class FakeMachine:
    def __init__(self, machines: FakeMachines, spec: MachineSpec, pid: int) -> None:
        self._machines = machines
        self.spec = spec
        self._pid = pid
        self._exited: asyncio.Future[MachineExit] = asyncio.get_running_loop().create_future()
        self.disk = spec.c_disk
        assert self.disk is None or os.access(self.disk, os.R_OK), f"{self.disk} is used before it was made"
        self.nics = {FIRST_NIC: FIRST_MAC} if spec.nic else {}
        self.user_nics: dict[str, Attachment] = {}
        self.connected = False
        self._plugged = asyncio.Event()
        self.paused = False
        self.pressed = 0
        self.deaf = False
        """Its guest makes nothing of the power button."""
        self.written: asyncio.Queue[str] = asyncio.Queue()
        self.lines: list[FakeLine] = []
        self.restarted = 0
        self.on_disk = 0

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def agent_socket(self) -> Path:
        return self.spec.run_dir / AGENT_SOCKET

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        return self._exited

    async def insert_disk(self, image: Path) -> None:
        assert self.paused, "a disk is exchanged under a guest that runs"
        assert os.access(image, os.R_OK), f"{image} was inserted before it was made"
        self.disk = image

    async def connect_nic(self, *, connected: bool) -> None:
        assert FIRST_NIC in self.nics
        self.connected = connected
        self._plugged.set()

    async def plug_nic(self, tap: int, nic_id: str, mac: str) -> None:
        os.fstat(tap)
        assert nic_id not in self.nics
        self.nics[nic_id] = mac
        self._plugged.set()

    async def plug_user_nic(self, nic_id: str, attachment: Attachment) -> None:
        assert nic_id not in self.nics
        self.user_nics[nic_id] = attachment
        self.nics[nic_id] = attachment.mac
        self._plugged.set()

    async def has_nic(self, mac: str) -> None:
        """Wait until a NIC with that address is plugged in, with its cable."""
        while mac not in self.nics.values() or (self.nics.get(FIRST_NIC) == mac and not self.connected):
            self._plugged.clear()
            await self._plugged.wait()

    async def unplug_nic(self, nic_id: str) -> None:
        self.nics.pop(nic_id, None)

    async def move(self, run_dir: Path) -> None:
        os.rename(self.spec.run_dir, run_dir)
        self.spec = replace(self.spec, run_dir=run_dir)

    async def pause(self) -> None:
        self._check_running()
        self.paused = True

    async def resume(self) -> None:
        self._check_running()
        self.paused = False

    def _check_running(self) -> None:
        if self._exited.done():
            raise Unavailable("the machine ended before it answered")

    async def press_power_button(self) -> None:
        self._check_running()
        self.pressed += 1
        if not self.deaf:
            self.end(0)

    async def quit(self) -> None:
        self.end(0)

    def end(self, code: int) -> None:
        """The machine's process ends."""
        self._machines.running.pop(self._pid, None)
        if not self._exited.done():
            self._exited.set_result(MachineExit(code))

    @property
    def restarts(self) -> int:
        return self.restarted

    async def disk_written(self) -> int:
        self._check_running()
        return self.on_disk

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        return ("Kernel panic: this is a fake",)[-lines:]

    async def console(self, *, last: int | None, follow: bool) -> AsyncGenerator[str, None]:
        """Two lines, and with ``follow`` a third when somebody writes it (see ``written``), until the end."""
        lines = ["linwin-agent: this is a fake\n", "linwin-agent: ready\n"]
        yield "".join(lines if last is None else lines[len(lines) - last :])
        while follow and not self._exited.done():
            written = asyncio.create_task(self.written.get())
            both: list[asyncio.Future[Any]] = [written, self._exited]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if written.done():
                yield written.result()
            written.cancel()

    async def open_console(self) -> FakeLine:
        return self._open(b"")

    async def screenshot(self) -> bytes:
        assert self.spec.screen
        return PICTURE

    async def open_screen(self) -> FakeLine:
        return self._open(b"RFB 003.008\n")

    def _open(self, greeting: bytes) -> FakeLine:
        assert self.spec.screen
        line = FakeLine(greeting)
        self._exited.add_done_callback(lambda _: line.end())
        self.lines.append(line)
        return line


class FakeMold(FakeMachine):
    """A machine that becomes a checkpoint."""

    async def freeze(self) -> Checkpoint:
        self.end(0)
        spec = self.spec
        checkpoint = Checkpoint(
            f"{len(self._machines.kept) + 1:064x}",
            spec.template,
            spec.memory,
            spec.cpus,
            "tcg",
            1 << 20,
            1,
            1,
        )
        self._machines.kept[_kind(spec)] = checkpoint
        return checkpoint


Kind = tuple[str, int, int, bool]


def _kind(spec: MachineSpec) -> Kind:
    return spec.template, spec.memory, spec.cpus, spec.nic


def _check_tap(spec: MachineSpec, tap: int | None) -> None:
    assert (tap is not None) == spec.nic
    if tap is not None:
        os.fstat(tap)


class FakeMachines:
    """``running`` is by pid; set ``broken`` to make boots fail; ``booting`` is set when one begins.

    ``available`` is the host's memory in MiB. A ``gate`` holds boots. Checkpoints are
    ``kept`` by template, memory, CPUs and NIC; with ``warm`` every guest has one, and
    ``spoilt`` says why none can be restored.
    """

    abilities = Abilities()

    def __init__(self) -> None:
        self.running: dict[int, FakeMachine] = {}
        self.broken: str | None = None
        self.booting = asyncio.Event()
        self.gate: Gate | None = None
        self.mold_gate: Gate | None = None
        self._pids = itertools.count(1_000_000)
        self.warm = True
        self.available = 32768
        self.spoilt: str | None = None
        self.kept: dict[Kind, Checkpoint] = {}

    async def accelerator(self) -> str:
        return "tcg"

    async def version(self) -> str:
        return "QEMU 7.2.22"

    async def room(self, spec: MachineSpec) -> Room:
        return Room(spec.memory + 100, self.available, 65536)

    async def boot(self, spec: MachineSpec, tap: int | None) -> FakeMachine:
        _check_tap(spec, tap)
        if self.broken:
            raise Unavailable(self.broken, hint="This is a fake.")
        self.booting.set()
        await (self.gate.passed() if self.gate else asyncio.sleep(0))
        machine = FakeMachine(self, spec, next(self._pids))
        self.running[machine.pid] = machine
        return machine

    async def restore(self, spec: MachineSpec, tap: int | None) -> FakeMachine | None:
        if self.spoilt:
            raise Unavailable(self.spoilt)
        return await self.boot(spec, tap) if await self.has_checkpoint(spec) else None

    async def mold(self, spec: MachineSpec, tap: int | None) -> FakeMold:
        _check_tap(spec, tap)
        if self.broken:
            raise Unavailable(self.broken, hint="This is a fake.")
        await (self.mold_gate.passed() if self.mold_gate else asyncio.sleep(0))
        mold = FakeMold(self, spec, next(self._pids))
        self.running[mold.pid] = mold
        return mold

    async def has_checkpoint(self, spec: MachineSpec) -> bool:
        return self.warm or _kind(spec) in self.kept

    async def discard_checkpoint(self, spec: MachineSpec, why: str) -> None:
        self.kept.pop(_kind(spec), None)

    async def checkpoints(self) -> list[Checkpoint]:
        return list(self.kept.values())

    async def remove_checkpoint(self, reference: str) -> Checkpoint:
        for size, checkpoint in self.kept.items():
            if checkpoint.key.startswith(reference):
                return self.kept.pop(size)
        raise NotFound(f"No such checkpoint: {reference}", hint="List them with: linwin checkpoint ls")

    async def adopt(self, spec: MachineSpec, pid: int) -> FakeMachine | None:
        """As the real one finds it: by what runs in the folder, whatever ``pid`` somebody remembers."""
        return next((found for found in self.running.values() if found.spec.run_dir == spec.run_dir), None)
