"""The daemon is killed in the middle of whatever it does to the host, and the next one goes on."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from pathlib import Path

import pytest

from linwin.model.network import HostNetworks
from tests.unit.network.dying_daemon import SHELL, WEB, WHOLE
from tests.unit.network.probes import answering, ask
from tests.unit.network.world import World

pytestmark = [pytest.mark.root, pytest.mark.slow]

DEATHS = 16
SEED = 29


async def daemon(world: World, death: int) -> tuple[int, str]:
    """Its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.unit.network.dying_daemon",
        str(world.paths.root),
        str(death),
        cwd=Path(__file__).parents[3],
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, stdout.decode()


async def test_the_next_daemon_makes_it_whole_wherever_the_last_one_died(world: World) -> None:
    code, printed = await daemon(world, 0)
    assert code == 0
    calls = int(printed)
    places = sorted(random.Random(SEED).sample(range(1, calls), DEATHS))
    for number, place in enumerate(places):
        code, printed = await daemon(world, place)
        assert (code, printed) == (-signal.SIGKILL, ""), place
        await world.next_daemon()
        # Every second time the next daemon is asked for nothing, and nothing is to be left.
        if number % 2:
            await world.apply(())
            assert "lw" not in world.host.run("ip -br link"), place
        else:
            await world.apply(WHOLE.networks, WHOLE.attachments)
            assert await works(world), place
            await world.room.apply(HostNetworks())


async def works(world: World) -> bool:
    server, guest = await world.guest(WEB), await world.guest(SHELL)
    try:
        async with answering(server, "web", 80):
            return (
                await ask(guest, "172.20.0.2", 80) == "web 172.20.0.3"
                and await ask(guest, "fd00:20::2", 80) == "web fd00:20::3"
                and await ask(world.host, "127.0.0.1", 8080) == "web 172.20.0.1"
            )
    finally:
        world.leave()
