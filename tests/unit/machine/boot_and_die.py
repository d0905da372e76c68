"""A daemon that starts the machine described on its stdin, prints its pid, and is gone."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys

from linwin.machine.accel import Acceleration
from linwin.machine.qemu import QemuMachines
from linwin.model.machine import MachineSpec
from linwin.paths import Paths


class Emulated(QemuMachines):
    """A driver that asks nobody for its accelerator."""

    async def acceleration(self) -> Acceleration:
        return Acceleration("tcg", "by the test")


async def main() -> None:
    spec: MachineSpec = pickle.load(sys.stdin.buffer)
    root = spec.run_dir.parent
    machine = await Emulated(Paths(root, root / "linwin.sock")).boot(spec)
    print(machine.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main())
