"""Admission: whether this host has room for one more guest, asked before anything of it is made.

A new guest must fit whole into what is available now, since it may come to use all
of its memory. Guests that are starting count whole too: what they will use shows in
no reading yet. Guests that run count with what they use, and share.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from linwin.engine.interfaces import Machines
from linwin.errors import InvalidRequest, Unavailable
from linwin.model.machine import LinuxBoot, MachineSpec


class Admission:
    """Keeps count of the guests that are starting. All figures are MiB."""

    def __init__(self, machines: Machines, spare: Callable[[], Awaitable[bool]]) -> None:
        """``spare`` gives up what is only there to be quick, and tells whether there was any."""
        self._machines = machines
        self._spare = spare
        self._starting = 0

    @asynccontextmanager
    async def admitted(self, spec: MachineSpec, *, spared: bool = True) -> AsyncIterator[None]:
        """Hold room for a guest while it starts, with ``spared`` at the pool's expense.

        Raises Unavailable when the host has none.
        """
        room = await self._machines.room(spec)
        if spared and room.needed > room.available - self._starting and await self._spare():
            room = await self._machines.room(spec)
        if room.needed > room.available - self._starting:
            besides = f", {self._starting} of them for guests that are starting" if self._starting else ""
            raise Unavailable(
                f"not enough memory for a guest of {spec.memory} MiB: it needs {room.needed} MiB "
                f"with its emulator, and {room.available} MiB are available{besides}",
                hint="Stop other containers, or give this one less memory with --memory.",
            )
        self._starting += room.needed
        try:
            yield
        finally:
            self._starting -= room.needed

    async def check_size(self, memory: int) -> None:
        """Refuse a guest that this host could not hold if there were no other. Raises InvalidRequest."""
        nowhere = Path()
        boot = LinuxBoot(nowhere, nowhere, "", nowhere)
        spec = MachineSpec("", boot, memory=memory, cpus=0, run_dir=nowhere)
        room = await self._machines.room(spec)
        if room.needed > room.total:
            largest = room.total - (room.needed - memory)
            raise InvalidRequest(
                f"{memory} MiB of memory are more than this host can give: "
                f"a guest of it needs {room.needed} MiB with its emulator, and there are {room.total} MiB",
                hint=f"Give at most {max(largest, 0)} MiB, as in --memory {max(largest, 0)}m.",
            )
