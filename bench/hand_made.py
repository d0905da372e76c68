"""A guest without a daemon, for benches to compare a container with: the peer of net and files.

It is restored from the checkpoint that containers are restored from, with QEMU's command line as
theirs. Its NIC's tap is a port of a bridge made with ip(8), in a network namespace without a rule
of nftables.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from linwin.disks import ChainDisks
from linwin.engine.checkpoints import guest_spec
from linwin.guest import AgentGuest, AgentGuests
from linwin.guest.process import GuestProcess
from linwin.machine import QemuMachines
from linwin.model.files import parse_path
from linwin.model.guest import Preparation, ProcessSpec
from linwin.model.machine import C_SERIAL, FIRST_MAC
from linwin.model.network import Interface
from linwin.model.progress import Progress
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.vm.lan import Lan, lan

BENCH = Path(__file__).parent
ROOT = Path(os.environ.get("LINWIN_ROOT", "/var/lib/linwin"))
IMAGE = "microsoft/nanoserver"
PROGRAM = "windows_guest.exe"
HOST, GUEST = "192.0.2.1", "192.0.2.2"
"""RFC 5737; the namespace has no other addresses."""
SECONDS = 120.0
"""For whatever a guest is asked, but for the work that is measured."""


@dataclass(frozen=True)
class HandMade:
    """The guest, and the network that it and its host have for themselves."""

    guest: AgentGuest
    network: Lan

    async def spawn(self, *words: str) -> GuestProcess:
        """The benches' program, with these words."""
        return await self.guest.spawn(
            "bench", ProcessSpec((), command_line=" ".join([f"C:\\{PROGRAM}", *words]), stdin=True)
        )


@contextmanager
def bridge() -> Iterator[Lan]:
    """The network; it is gone afterwards."""
    with lan(f"linwin-bench-{os.getpid()}", f"{HOST}/24") as network:
        yield network


@asynccontextmanager
async def hand_made(network: Lan, program: Path) -> AsyncIterator[HandMade]:
    """The guest, with the benches' program on its C:; nothing of it is left afterwards."""
    paths = Paths(ROOT, ROOT / "none.sock")
    template = await InstalledTemplates(paths).get("wine")
    disks, machines = ChainDisks(paths), QemuMachines(paths)
    with tempfile.TemporaryDirectory() as name, network.tap() as tap:
        folder = Path(name)
        _, chain_end = await disks.chain(template, (), _ignore)
        await disks.overlay(chain_end, folder / "c.qcow2", uid=0)
        (folder / "run").mkdir()
        spec = guest_spec(
            template,
            id="bench",
            memory=0,
            cpus=0,
            run_dir=folder / "run",
            uid=0,
            c_disk=folder / "c.qcow2",
            nic=True,
        )
        try:
            machine = await machines.restore(spec, tap)
            assert machine is not None, "containers have no checkpoint to be restored from"
            try:
                guest = await AgentGuests().connect(machine, timeout=SECONDS)
                await machine.connect_nic(connected=True)
                nic = Interface(mac="02:42:c0:00:02:02", addresses=(f"{GUEST}/24",), found=FIRST_MAC)
                await guest.prepare(Preparation("bench", C_SERIAL, time.time_ns(), os.urandom(64), (nic,)))
                await guest.files.write(parse_path("/"), _tar(program, folder), keep_kinds=False)
                yield HandMade(guest, network)
                await guest.shutdown(timeout=SECONDS)
                await guest.close()
            finally:
                await machine.quit()
        finally:
            machines.store.close()


def _ignore(_: Progress) -> None:
    """Nobody watches."""


def _tar(program: Path, folder: Path) -> Path:
    data = program.read_bytes()
    member = tarfile.TarInfo(PROGRAM)
    member.size = len(data)
    with tarfile.open(folder / "program.tar", "w") as archive:
        archive.addfile(member, io.BytesIO(data))
    return folder / "program.tar"


async def line_of(process: GuestProcess) -> str:
    """What a program printed next, to its line's end."""
    text = b""
    async for chunk in process.output():
        text += chunk.data
        await process.acknowledge(chunk)
        if text.endswith(b"\n"):
            return text.decode().strip()
    return text.decode().strip()


# The container that it is compared with.


def linwin(*words: str) -> str:
    return subprocess.run(["linwin", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def built_program() -> Iterator[Path]:
    """The benches' program, compiled for Windows."""
    with tempfile.TemporaryDirectory() as folder:
        program, source = Path(folder) / PROGRAM, BENCH / "windows_guest.c"
        options = ["-O2", "-Wall", "-Wextra", "-Werror", "-s", "-o", str(program), str(source), "-lws2_32"]
        subprocess.run(["x86_64-w64-mingw32-gcc", *options], check=True)
        yield program


@dataclass(frozen=True)
class Container:
    """One that runs the benches' program, by the client that is attached to it."""

    id: str
    process: subprocess.Popen[str]

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def container(program: Path, *options: str, words: tuple[str, ...]) -> Iterator[Container]:
    """A container as users get it; it is removed afterwards."""
    linwin("checkpoint", "create", "-q")
    identity = linwin("create", "-i", *options, IMAGE, f"C:\\{PROGRAM}", *words).strip()
    try:
        linwin("cp", str(program), f"{identity}:C:\\")
        attached = ["linwin", "start", "-a", "-i", identity]
        with subprocess.Popen(attached, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield Container(identity, process)
            finally:
                process.kill()
    finally:
        linwin("rm", "-f", identity)
