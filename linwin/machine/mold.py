"""A machine that is booted only to be frozen."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from linwin.machine.checkpoints import CheckpointStore
from linwin.machine.frozen import empty_memory
from linwin.machine.running import QemuMachine
from linwin.model.machine import Checkpoint, MachineExit


class Mold:
    """Implements :class:`linwin.engine.interfaces.Mold`. Its RAM is a file of its own, ``ram``."""

    def __init__(
        self, machine: QemuMachine, ram: int, checkpoint: Checkpoint, store: CheckpointStore
    ) -> None:
        self._machine = machine
        self._ram = ram
        self._checkpoint = checkpoint
        self._store = store

    @property
    def agent_socket(self) -> Path:
        return self._machine.agent_socket

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        return self._machine.exited

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        return await self._machine.console_tail(lines)

    async def freeze(self) -> Checkpoint:
        """Freeze the guest, end the machine, and keep what was frozen.

        Raises Unavailable; the machine may still run then.
        """
        state = empty_memory("linwin-state")
        try:
            await self._machine.freeze(state)
            await self._machine.quit()  # nothing may be changing what is written down
            return await self._store.keep(self._checkpoint, self._ram, state)
        finally:
            os.close(state)

    async def quit(self) -> None:
        """End the machine and let go of its memory. Idempotent."""
        await self._machine.quit()
        if self._ram >= 0:
            os.close(self._ram)
            self._ram = -1
