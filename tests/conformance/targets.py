"""What the conformance suite runs against: the two builds of the agent, each where it can run."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from linwin.guest import AgentGuest, AgentGuests, GuestProcess
from linwin.guest.session import Session
from linwin.model.guest import ProcessSpec
from linwin.model.machine import MachineExit

from .wine import Wine

ROOT = Path(__file__).parents[2]
AGENTS = ROOT / "linwin" / "_agent"
CONNECT_TIMEOUT = 60

NOT_WRITTEN = {"files": "the Windows build of the agent copies no files yet"}
"""What the Windows build lacks anywhere."""

_LAST_HANDLER = "Wine's last handler of console events ends a program with 0, Windows' with 0xC000013A"
UNDER_WINE = {
    **NOT_WRITTEN,
    "resize": "Wine's ResizePseudoConsole does nothing but return E_NOTIMPL",
    "TERM exit code": _LAST_HANDLER,
    "INT exit code": _LAST_HANDLER,
    "interrupt key": "Wine's conhost takes a Ctrl-C on its pipe for the end of its input",
    "console handles": "Wine gives the program of a pseudo-console no standard handles",
}
"""What Wine lacks and the Windows build needs, each with its reason; docs/windows-agent.md lists them."""
UNDER_NEWER_WINE = UNDER_WINE | {
    "break": "Wine 10 turns a console's Ctrl-Break into a signal that no handler sees, and reports success",
}


class HostMachine:
    """A machine that is nothing but an agent's socket, and perhaps a file that its console is in."""

    def __init__(self, agent_socket: Path, console: Path | None = None) -> None:
        self.agent_socket = agent_socket
        self._console = console
        self.exited: asyncio.Future[MachineExit] = asyncio.get_running_loop().create_future()

    def ends_with(self, process: int) -> None:
        """Have it ended once a process has, by the process' pidfd."""
        asyncio.get_running_loop().add_reader(process, self._ended)

    def _ended(self) -> None:
        if not self.exited.done():
            self.exited.set_result(MachineExit(None))

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        text = self._console.read_text(errors="replace") if self._console else ""
        return tuple(text.splitlines()[-lines:])


class PrefixedGuest(AgentGuest):
    """A session whose process ids all begin alike."""

    def __init__(self, session: Session, prefix: str) -> None:
        super().__init__(session)
        self._prefix = prefix

    async def spawn(self, process_id: str, spec: ProcessSpec) -> GuestProcess:
        return await super().spawn(self._prefix + process_id, spec)

    async def adopt(self, process_id: str, *, stdout: int, stderr: int) -> GuestProcess | None:
        return await super().adopt(self._prefix + process_id, stdout=stdout, stderr=stderr)


@dataclass
class Target:
    """An agent that a test talks to, and what it can be asked for."""

    name: str
    kind: str
    subject: str
    """The conformance suite's program, as the guest names it."""
    machine: HostMachine
    folder: str
    """Where new folders may be made, with the separator behind it."""
    own: bool = True
    """The agent is this test's alone and may be brought to an end."""
    pid: int = 0
    """The agent's process on this host, 0 in a guest."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""
    """What the ids of processes begin with, so that those of other tests are others."""

    @property
    def windows(self) -> bool:
        """Its programs are Windows programs."""
        return self.kind != "linux"

    def needs(self, feature: str) -> None:
        """Skip the test where the feature is a listed gap."""
        if feature in self.lacks:
            pytest.skip(self.lacks[feature])

    def spec(self, *words: str, **fields: object) -> ProcessSpec:
        """The suite's program with words that hold no blanks or quotes."""
        return self.line((self.subject, *words), " ".join((self.subject, *words)), **fields)

    def line(self, argv: tuple[str, ...], line: str, **fields: object) -> ProcessSpec:
        """A program by the words of a Linux guest and the line of a Windows one."""
        command_line = line if self.windows else None
        return ProcessSpec(argv, command_line, **{"cwd": self.folder, **fields})  # type: ignore[arg-type]

    async def connect(self) -> AgentGuest:
        guest = await AgentGuests().connect(self.machine, timeout=CONNECT_TIMEOUT)
        return PrefixedGuest(guest._session, self.prefix)


@asynccontextmanager
async def native(folder: Path, cgroup: Path, subject: Path) -> AsyncIterator[Target]:
    """The Linux build, which runs Linux programs on this host."""
    files = folder / "files"
    files.mkdir()
    command = [AGENTS / "linwin-agent", "-listen", "agent.sock", "-cgroup", cgroup, "-files", files]
    async with _started(*command, cwd=folder, env=dict(os.environ)) as (pid, _):
        machine = HostMachine(folder / "agent.sock")
        yield Target("linux", "linux", str(subject), machine, f"{folder}/", pid=pid)


@asynccontextmanager
async def under_wine(folder: Path, wine: Wine) -> AsyncIterator[Target]:
    """The Windows build, which runs Windows programs under this host's Wine."""
    command = [wine.loader, AGENTS / "linwin-agent.exe", "-listen", "127.0.0.1:0"]
    async with (
        _started(*command, cwd=folder, env=wine.environment) as (pid, address),
        forwarded(folder / "agent.sock", address) as machine,
    ):
        yield Target(
            "windows", "windows", "C:\\subject.exe", machine, "C:\\conformance\\", pid=pid, lacks=UNDER_WINE
        )


@asynccontextmanager
async def elsewhere(folder: Path, address: str) -> AsyncIterator[Target]:
    """The Windows build on a Windows machine, which lacks nothing that Wine does."""
    async with forwarded(folder / "agent.sock", address) as machine:
        yield Target(
            "elsewhere", "windows", "C:\\linwin\\subject.exe", machine, "C:\\linwin\\work\\",
            own=False, prefix=f"{secrets.token_hex(4)}-", lacks=NOT_WRITTEN,
        )  # fmt: skip


@asynccontextmanager
async def _started(*command: str | Path, cwd: Path, env: Mapping[str, str]) -> AsyncIterator[tuple[int, str]]:
    """An agent as a process, with its pid and the address that it says to listen on."""
    # A pipe of our own: Wine's services hold its other end as well, and live on.
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdin=asyncio.subprocess.DEVNULL, stderr=write
    )
    os.close(write)
    log = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(log), os.fdopen(read, "rb")
    )
    first = await asyncio.wait_for(log.readline(), CONNECT_TIMEOUT)
    assert b"listening on " in first, first
    drain = asyncio.create_task(log.read())
    try:
        yield process.pid, first.decode().rpartition(" ")[2].strip()
    finally:
        process.kill()
        await process.wait()
        drain.cancel()
        transport.close()


@asynccontextmanager
async def forwarded(path: Path, address: str) -> AsyncIterator[HostMachine]:
    """A unix socket, as a machine has it, to an agent that listens on TCP."""
    host, _, port = address.rpartition(":")

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_copy(reader, other_writer), _copy(other_reader, writer))

    server = await asyncio.start_unix_server(forward, path)
    try:
        yield HostMachine(path)
    finally:
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until either side has gone, which ends the other's half as well."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # a host that breaks off is part of the tests
    finally:
        writer.close()
