"""A wine guest's NICs: hot-plugged into a restored clone, configured, used by Windows programs, taken out."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import socket
import tarfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.engine.checkpoints import guest_spec
from linwin.engine.interfaces import Guest, Machine, Process
from linwin.guest import AgentGuests
from linwin.machine import QemuMachines
from linwin.model.files import parse_path
from linwin.model.guest import Preparation, ProcessSpec
from linwin.model.machine import FIRST_MAC, FIRST_NIC
from linwin.model.network import HostName, Interface
from linwin.model.progress import Progress
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.vm.conftest import GUEST_TIMEOUT, Linwin, build_program
from tests.vm.lan import Lan, lan

UID = 1_900_000_000
"""Of a user that no daemon gives to a machine."""
HERE4, HERE6, THERE4, THERE6 = "172.30.7.1", "fd00:7::1", "172.30.7.2", "fd00:7::2"
NIC = Interface(
    mac="02:42:ac:1e:07:02",
    addresses=(f"{THERE4}/24", f"{THERE6}/64"),
    gateway4=HERE4,
    gateway6=HERE6,
    dns=(HERE4, HERE6),
    search=("example.test",),
    mtu=1400,
)
SECOND = Interface(mac="02:42:ac:1f:08:02", addresses=("172.31.8.2/24",), dns=("172.31.8.1",))


@dataclass
class Dialogue:
    """A program that is told one command after the other, and answers each with lines."""

    process: Process
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._output = self.process.output()
        self._text = ""

    async def line(self) -> str:
        while "\n" not in self._text:
            chunk = await asyncio.wait_for(anext(self._output), GUEST_TIMEOUT)
            self._text += chunk.data.decode().replace("\r\n", "\n")
            await self.process.acknowledge(chunk)
        line, _, self._text = self._text.partition("\n")
        return line

    async def tell(self, command: str) -> None:
        await self.process.write(f"{command}\n".encode())

    async def ask(self, command: str) -> list[str]:
        await self.tell(command)
        return await self.answer()

    async def answer(self) -> list[str]:
        said: list[str] = []
        while (line := await self.line()) != "done":
            assert not line.startswith("failed"), [*said, line]
            said.append(line)
        return said


@dataclass
class Running:
    """A guest that became a container."""

    machine: Machine
    guest: Guest

    async def talk(self, number: int = 0) -> Dialogue:
        spec = ProcessSpec((), command_line="C:\\network.exe", stdin=True)
        return Dialogue(await self.guest.spawn(f"network{number}", spec))

    async def run(self, command_line: str) -> tuple[int, str]:
        process = await self.guest.spawn(f"run {command_line}", ProcessSpec((), command_line=command_line))
        text = b""
        async for chunk in process.output():
            text += chunk.data
            await process.acknowledge(chunk)
        return await process.wait(), text.decode().replace("\r\n", "\n")


@pytest.fixture(scope="session")
def network_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tar with ``network.exe``."""
    folder = tmp_path_factory.mktemp("network")
    data = build_program("network", folder).read_bytes()
    with tarfile.open(folder / "network.tar", "w") as archive:
        member = tarfile.TarInfo("network.exe")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return folder / "network.tar"


OWN_NAMES = (HostName("mine", "10.9.8.7"),)


@contextmanager
def run_folder(linwin: Linwin) -> Iterator[Path]:
    folder = linwin.root / "network-test"
    folder.mkdir(mode=0o711)
    (folder / "run").mkdir(mode=0o700)
    os.chown(folder / "run", UID, UID)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def container(
    linwin: Linwin, folder: Path, program: Path, tap: int, nic: Interface | None
) -> AsyncIterator[Running]:
    """A restored guest whose C: has the program, with a NIC on a tap or without any."""
    paths = Paths(linwin.root, linwin.socket)
    template = await InstalledTemplates(paths).get("wine")
    disks, machines = ChainDisks(paths), QemuMachines(paths)
    _, chain_end = await disks.chain(template, (), ignore)
    await disks.overlay(chain_end, folder / "c.qcow2", uid=UID)
    spec = guest_spec(
        template,
        id="network-test",
        memory=0,
        cpus=0,
        run_dir=folder / "run",
        uid=UID,
        c_disk=folder / "c.qcow2",
        nic=True,
    )
    machine = await machines.restore(spec, tap)
    assert machine is not None
    try:
        guest = await AgentGuests().connect(machine, timeout=GUEST_TIMEOUT)
        if nic is None:
            await machine.unplug_nic(FIRST_NIC)
        else:
            await machine.connect_nic(connected=True)
        interfaces = () if nic is None else (replace(nic, found=FIRST_MAC),)
        await guest.prepare(
            Preparation("nic-test", "linwin-c", time.time_ns(), os.urandom(64), interfaces, OWN_NAMES)
        )
        await guest.files.write(parse_path("/"), program, keep_kinds=False)
        yield Running(machine, guest)
        await guest.shutdown(timeout=GUEST_TIMEOUT)
        await guest.close()
    finally:
        await machine.quit()
        machines.store.close()


def ignore(_: Progress) -> None:
    """Nobody watches."""


@asynccontextmanager
async def greeter(network: Lan) -> AsyncIterator[int]:
    """Tells whoever connects, by IPv4 or IPv6, where they come from; returns its port."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"hello {writer.get_extra_info('peername')[0]}".encode())
        await writer.drain()
        writer.close()

    sockets = [network.socket(socket.AF_INET), network.socket(socket.AF_INET6)]
    sockets[0].bind(("0.0.0.0", 0))
    port = sockets[0].getsockname()[1]
    sockets[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sockets[1].bind(("::", port))
    servers = [await asyncio.start_server(greet, sock=sock) for sock in sockets]
    try:
        yield port
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()


async def send(network: Lan, family: socket.AddressFamily, host: str, port: int, text: bytes) -> None:
    client = network.socket(family)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, (host, port))
    _, writer = await asyncio.open_connection(sock=client)
    writer.write(text)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def connections_so_far(running: Running) -> int:
    """TCP connections that the guest's kernel opened since its boot.

    With the first, a kernel chooses the secret behind its sequence numbers and ports: one that was
    opened before the guest was frozen would give all clones the same.
    """
    _, table = await running.run("cmd /c type \\\\?\\unix\\proc\\net\\snmp")
    names, values = (line.split() for line in table.splitlines() if line.startswith("Tcp: "))
    return int(dict(zip(names, values, strict=True))["ActiveOpens"])


async def test_a_container_reaches_and_is_reached(linwin: Linwin, network_program: Path) -> None:
    with (
        run_folder(linwin) as folder,
        lan(f"lw{os.getpid()}", f"{HERE4}/24", f"{HERE6}/64") as network,
        network.names({"web": f"{HERE4},{HERE6}", "box.example.test": "172.30.7.9"}),
        network.tap() as tap,
    ):
        async with (
            greeter(network) as port,
            container(linwin, folder, network_program, tap, NIC) as running,
        ):
            program = await running.talk()
            seen = await program.ask("adapters")
            assert seen[0] == f"adapter {NIC.mac} mtu 1400"
            assert {f"address {THERE4}", f"address {THERE6}"} < set(seen)
            assert [line for line in seen if "server" in line] == [f"server {HERE4}", f"server {HERE6}"]
            assert sorted(await program.ask("resolve web")) == [f"address {HERE4}", f"address {HERE6}"]
            assert await program.ask("resolve box") == ["address 172.30.7.9"]
            assert f"address {THERE4}" in await program.ask("resolve nic-test")
            assert await program.ask("resolve mine") == ["address 10.9.8.7"]
            assert await program.ask(f"fetch {HERE4} {port}") == [f"hello {THERE4}"]
            assert await program.ask(f"fetch {HERE6} {port}") == [f"hello {THERE6}"]
            assert (await program.ask(f"fetch web {port}"))[0] in (f"hello {THERE4}", f"hello {THERE6}")
            for family, address in ((socket.AF_INET, THERE4), (socket.AF_INET6, THERE6)):
                await program.tell("listen 8080")
                assert await program.line() == "listening"
                await send(network, family, address, 8080, b"from outside")
                assert await program.answer() == ["from outside"]
            code, printed = await running.run("ping -n 1 web")
            assert code == 0
            assert f"Reply from {HERE4}" in printed
            code, printed = await running.run("ipconfig /all")
            assert code == 0
            assert {THERE4, THERE6, HERE4, HERE6} <= set(printed.split())


async def test_a_program_that_runs_sees_nics_come_and_go(linwin: Linwin, network_program: Path) -> None:
    with (
        run_folder(linwin) as folder,
        lan(f"lw{os.getpid()}", f"{HERE4}/24", f"{HERE6}/64") as network,
        lan(f"lw{os.getpid()}x", "172.31.8.1/24") as second_network,
        network.names({"web": HERE4}),
        second_network.names({"db": "172.31.8.1"}),
        network.tap() as tap,
        second_network.tap() as second_tap,
        network.tap() as unused,
    ):
        async with (
            greeter(network) as port,
            greeter(second_network) as second_port,
            container(linwin, folder, network_program, unused, None) as running,
        ):
            machine, guest = running.machine, running.guest
            program = await running.talk()
            assert await program.ask("adapters") == []
            assert await connections_so_far(running) == 0
            await machine.plug_nic(tap, "one", NIC.mac)
            await guest.connect_interface(NIC)
            assert await program.ask("resolve web") == [f"address {HERE4}"]
            assert await program.ask(f"fetch web {port}") == [f"hello {THERE4}"]
            configuring = asyncio.create_task(guest.connect_interface(SECOND))  # the agent waits for it
            await machine.plug_nic(second_tap, "two", SECOND.mac)
            await configuring
            # Neither name server knows the other's names.
            assert await program.ask(f"fetch web {port}") == [f"hello {THERE4}"]
            assert await program.ask(f"fetch db {second_port}") == ["hello 172.31.8.2"]
            for _ in range(2):
                await guest.forget_interface(NIC.mac)
                await machine.unplug_nic("one")
            assert (await program.ask("adapters"))[:2] == [
                f"adapter {SECOND.mac} mtu 1500",
                "address 172.31.8.2",
            ]
            assert await program.ask(f"fetch db {second_port}") == ["hello 172.31.8.2"]
            assert (await guest.stats()).networks.keys() == {"eth1"}
            assert "server 172.31.8.1" in await (await running.talk(1)).ask("adapters")
