"""A host that is killed while a guest prints: its log is whole, whenever that happens."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from linwin.model.container import LogQuery
from linwin.state.log import JsonFileLog

from .conftest import ROOT, FakeMachine

LINES = 200_000
PROGRAM = ("sh", "-c", f"seq {LINES} & seq {LINES} >&2; wait; exit 7")
MOST_KILLS = 6


async def follow(socket: Path, log: Path) -> asyncio.subprocess.Process:
    """A host that has begun to log."""
    script = Path(__file__).with_name("logging_host.py")
    host = await asyncio.create_subprocess_exec(
        sys.executable,
        script,
        socket,
        log,
        *PROGRAM,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": ROOT},
    )
    assert host.stdout is not None
    assert await host.stdout.readline() == b"following\n"
    return host


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_byte_is_lost_or_doubled(machine: FakeMachine, tmp_path: Path, seed: int) -> None:
    chance, path = random.Random(seed), tmp_path / "log"
    killed_at = []
    while True:
        host = await follow(machine.agent_socket, path)
        assert host.stdout is not None
        try:
            await host.stdout.readexactly(chance.randint(1, 4))
        except asyncio.IncompleteReadError:
            break  # the program has ended
        if len(killed_at) == MOST_KILLS:
            await host.stdout.read()
            break
        host.kill()
        await host.wait()
        killed_at.append(path.stat().st_size)
    await host.wait()
    assert host.returncode == 7
    assert len(set(killed_at)) >= 3, "kills struck while output was logged"
    printed = {"stdout": bytearray(), "stderr": bytearray()}
    async for record in JsonFileLog(path).read(LogQuery(stdout=True, stderr=True)):
        printed[record.stream] += record.data
    expected = b"".join(b"%d\n" % number for number in range(1, LINES + 1))
    assert {name: bytes(data) == expected for name, data in printed.items()} == {
        "stdout": True,
        "stderr": True,
    }
