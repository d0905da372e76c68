"""A daemon in a process of its own whose guests are fakes: real state database, real API, real socket.

    python bench/fake_daemon.py FOLDER CONTAINERS

makes that many containers that run, says ``ready`` and serves until its stdin ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from linwin.model.container import ContainerSpec
from linwin.model.network import Subnet
from linwin.state import Database
from tests.scenario.fakes import Fakes, programs
from tests.scenario.fakes.guest import FakeProcess
from tests.scenario.fakes.network import FakeNetworks
from tests.scenario.harness import IMAGE, make_root, served

LINE = b"a line of output as programs print them, with a number 0123456789 and an end\r\n"
PIECE = LINE * ((64 << 10) // len(LINE))
"""About what a real guest's agent sends at once."""


class RoomyNetworks(FakeNetworks):
    """Whose networks have addresses for all containers."""

    async def free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        return Subnet("fd00::/64", "fd00::1") if ipv6 else Subnet("10.0.0.0/8", "10.0.0.1")


async def pour(process: FakeProcess) -> int:
    """Print so many bytes as fast as they are taken."""
    left = int(programs.resolve(process.spec.argv)[1])
    while left > 0:
        await process.print(PIECE[:left])
        left -= len(PIECE)
    return 0


async def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    paths = make_root(folder)
    state = Database(paths)
    await state.open()
    programs.PROGRAMS["pour"] = pour
    async with served(Fakes(state=state, networks=RoomyNetworks()), paths) as daemon:
        for number in range(count):
            spec = ContainerSpec(
                image=IMAGE,
                cmd=("hang",),
                env=(f"NUMBER={number}", "COLOR=blue"),
                labels={"com.example.project": "bench", "com.example.service": f"service-{number % 10}"},
            )
            made = await daemon.engine.create(spec, f"bench-{number}")
            await daemon.engine.start(made.id)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await state.close()


if __name__ == "__main__":
    asyncio.run(main())
