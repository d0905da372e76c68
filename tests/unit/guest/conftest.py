"""Two peers for the session: the real agent as a process of this host, and a scripted one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from linwin.guest import AgentGuest, AgentGuests
from linwin.model.machine import MachineExit
from tests.cgroups import cgroup as cgroup
from tests.scripted_agent import ScriptedAgent

ROOT = Path(__file__).parents[3]
AGENT = ROOT / "linwin" / "_agent" / "linwin-agent"


class FakeMachine:
    """A machine that is nothing but its agent's socket and a console."""

    def __init__(self, agent_socket: Path, console: tuple[str, ...] = ("kernel: hi", "agent: ho")) -> None:
        self.agent_socket = agent_socket
        self.console = console
        self.exited: asyncio.Future[MachineExit] = asyncio.get_running_loop().create_future()

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        return self.console[-lines:]


class ScriptedMachine(FakeMachine):
    """A machine whose agent the test plays."""

    def __init__(self, agent_socket: Path) -> None:
        super().__init__(agent_socket)
        self._agents: asyncio.Queue[ScriptedAgent] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._agents.put_nowait(ScriptedAgent(reader, writer))

    async def close(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async def agent(self) -> ScriptedAgent:
        return await self._agents.get()

    async def connect(
        self, *, capabilities: Sequence[str] = (), kind: str = ""
    ) -> tuple[AgentGuest, ScriptedAgent]:
        """A session that has said hello, and the agent's end of it."""
        connecting = asyncio.create_task(AgentGuests().connect(self, timeout=10))
        agent = await self.agent()
        await agent.greet(capabilities=capabilities, kind=kind)
        return await connecting, agent


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedMachine]:
    machine = ScriptedMachine(tmp_path / "agent.sock")
    server = await asyncio.start_unix_server(machine.accept, machine.agent_socket)
    yield machine
    server.close()
    await machine.close()


@pytest.fixture
async def machine(tmp_path: Path, cgroup: Path) -> AsyncIterator[FakeMachine]:
    """The real agent, serving Linux programs on a socket, and the folder ``c`` as C:."""
    if not AGENT.exists():
        pytest.skip("the agent is not built: scripts/build-agent")
    path = tmp_path / "agent.sock"
    (tmp_path / "c").mkdir()
    process = await asyncio.create_subprocess_exec(
        AGENT,
        "-listen",
        "agent.sock",
        "-cgroup",
        cgroup,
        "-files",
        "c",
        cwd=tmp_path,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    assert b"listening" in await process.stderr.readline()
    drain = asyncio.create_task(process.stderr.read())
    yield FakeMachine(path)
    process.kill()
    await process.wait()
    await drain


@pytest.fixture
async def guest(machine: FakeMachine) -> AsyncIterator[AgentGuest]:
    guest = await AgentGuests().connect(machine, timeout=10)
    yield guest
    await guest.close()
