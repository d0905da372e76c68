"""A domain that is booted only to be saved."""

from __future__ import annotations

import asyncio
from pathlib import Path

from linwin.errors import Unavailable
from linwin.machine.checkpoints import CheckpointStore
from linwin.machine.libvirt.machine import LibvirtMachine
from linwin.model.machine import Checkpoint, MachineExit


class LibvirtMold:
    """Implements :class:`linwin.engine.interfaces.Mold`. ``path`` is where libvirt saves it."""

    def __init__(
        self, machine: LibvirtMachine, path: Path, checkpoint: Checkpoint, store: CheckpointStore
    ) -> None:
        self._machine = machine
        self._path = path
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
        """Save the guest, which ends the machine, and keep what was saved.

        Raises Unavailable; the machine may still run then.
        """
        try:
            self._path.touch(mode=0o600)  # or libvirt would make it, and a root's it would be
        except OSError as error:
            raise Unavailable(f"the checkpoint could not be stored: {error.strerror}") from error
        await self._machine.save(self._path)
        return await self._store.keep_saved(self._checkpoint, self._path)

    async def quit(self) -> None:
        """End the machine and delete what it left. Idempotent."""
        await self._machine.quit()
        self._path.unlink(missing_ok=True)
