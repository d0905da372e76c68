"""One guest with three agents side by side, each on a port of its own: linwin's, qemu-ga and a raw copier.

It is a machine of the wine template (kernel, modules, QEMU's arguments) whose
first process is shared_guest.c; linwin's agent serves Linux programs. qemu-ga is
Debian's, with the libraries that it finds on this host.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from linwin.guest import AgentGuest, AgentGuests
from linwin.host.sockets import listen
from linwin.machine.accel import find_acceleration
from linwin.machine.describe import arguments, describe
from linwin.machine.domain import Accelerator, Descriptors
from linwin.model.guest import ProcessSpec
from linwin.model.machine import LinuxBoot, MachineExit, MachineSpec
from linwin.paths import Paths
from linwin.templates import InstalledTemplates, cpio

BENCH = Path(__file__).parent
AGENT = BENCH.parent / "linwin" / "_agent" / "linwin-agent"
ROOT = Path(os.environ.get("LINWIN_ROOT", "/var/lib/linwin"))
QEMU = "/usr/bin/qemu-system-x86_64"
MEMORY = 512
BOOT_SECONDS = 120.0
PORTS = ("qga", "raw")
POLL_SECONDS = 0.01
"""How often the peer asks whether its program has ended: qemu-ga knows no other way."""


class SharedGuest:
    """A booted guest, driven from outside of its event loop: each call blocks."""

    def __init__(self, runner: asyncio.Runner, folder: Path, process: asyncio.subprocess.Process) -> None:
        self._runner = runner
        self._folder = folder
        self.process = process
        self.agent_socket = folder / "agent"
        self.exited: asyncio.Future[MachineExit] = runner.get_loop().create_future()

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        text = (self._folder / "console").read_text(errors="replace")
        return tuple(text.splitlines()[-lines:])

    def connect(self) -> None:
        """Wait until all three answer."""
        connecting = AgentGuests().connect(self, timeout=BOOT_SECONDS)
        self.agent: AgentGuest = self._runner.run(connecting)
        self._qga = _connect(self._folder / "qga")
        self._answers = self._qga.makefile("rb")
        self._raw = _connect(self._folder / "raw")
        self.raw_bytes(1)
        self.ask("guest-ping")

    # linwin

    def run(self, *argv: str) -> tuple[int, int]:
        """A program by linwin's agent, to its end: the exit code, and the bytes that it printed."""
        return self._runner.run(self._run(argv))

    def census(self) -> dict[str, int]:
        """What linwin's agent holds: files, threads, memory (KiB) and control groups."""
        printed = self._runner.run(self._output(("/bin/census",)))
        return {name: int(number) for name, number in map(str.split, printed.decode().splitlines())}

    async def _output(self, argv: tuple[str, ...]) -> bytes:
        process = await self.agent.spawn(os.urandom(8).hex(), ProcessSpec(argv, cwd="/"))
        return b"".join([chunk.data async for chunk in process.output()])

    async def _run(self, argv: tuple[str, ...]) -> tuple[int, int]:
        process = await self.agent.spawn(os.urandom(8).hex(), ProcessSpec(argv, cwd="/"))
        printed = 0
        async for chunk in process.output():
            printed += len(chunk.data)
            await process.acknowledge(chunk)
        return await process.wait(), printed

    # qemu-ga

    def ask(self, command: str, **arguments: Any) -> Any:
        """One command of qemu-ga's, QMP-like (qemu-ga(8) and its QAPI schema)."""
        self._qga.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        assert "return" in answer, answer
        return answer["return"]

    def guest_exec(self, path: str, *words: str, capture: bool = False) -> tuple[int, int]:
        """A program by qemu-ga, asked for every 10 ms until it has ended; as :meth:`run`."""
        started = self.ask("guest-exec", path=path, arg=words, **{"capture-output": capture})
        while not (status := self.ask("guest-exec-status", pid=started["pid"]))["exited"]:
            time.sleep(POLL_SECONDS)
        assert not status.get("out-truncated"), "qemu-ga keeps 16 MiB of a program's output"
        return status["exitcode"], len(base64.b64decode(status.get("out-data", "")))

    # The raw copier.

    def raw_bytes(self, count: int) -> int:
        """The output of a program that goes through a pipe to the port, and nothing else."""
        self._raw.sendall(b"%d\n" % count)
        received = 0
        while received < count:
            data = self._raw.recv(256 << 10)
            assert data, "the guest is gone"
            received += len(data)
        return received

    def close(self) -> None:
        self._runner.run(self.agent.close())
        for end in (self._answers, self._qga, self._raw):
            end.close()


@contextmanager
def shared_guest(runner: asyncio.Runner) -> Iterator[SharedGuest]:
    """Boot it, and end it afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = runner.run(_boot(folder))
        try:
            guest = SharedGuest(runner, folder, process)
            guest.connect()
            yield guest
            guest.close()
        finally:
            process.kill()
            runner.run(process.wait())


async def _boot(folder: Path) -> asyncio.subprocess.Process:
    accelerator = (await find_acceleration(Path(QEMU), ROOT / "cache")).name
    template = await InstalledTemplates(Paths(ROOT, ROOT / "none.sock")).get("wine")
    initrd = folder / "initrd"
    # The kernel unpacks one archive behind the other; ours replaces /init.
    initrd.write_bytes(_padded(template.initrd.read_bytes()) + cpio.archive(_files(folder)))
    spec = MachineSpec(
        id="bench",
        boot=LinuxBoot(template.kernel, initrd, template.cmdline, template.root_disk),
        memory=MEMORY,
        cpus=0,
        run_dir=folder,
    )
    return await _start(spec, accelerator)


async def _start(spec: MachineSpec, accelerator: Accelerator) -> asyncio.subprocess.Process:
    """A container's machine with two more ports. It alone holds its sockets, which can be connected to."""
    with ExitStack() as stack:
        files = [stack.enter_context(listen(spec.run_dir / name)) for name in ("monitor", "agent", *PORTS)]
        monitor, agent, *ports = (file.fileno() for file in files)
        console = stack.enter_context((spec.run_dir / "console").open("ab")).fileno()
        argv = arguments(describe(spec, accelerator, Descriptors(monitor, agent, console)))
        for number, (name, file) in enumerate(zip(PORTS, ports, strict=True)):
            # A controller each: those behind one share an interrupt, which wakes them all.
            controller = {"driver": "virtio-serial-pci", "id": f"serial-{name}", "addr": hex(6 + number)}
            device = {"driver": "virtserialport", "bus": f"serial-{name}.0", "nr": 1, "chardev": name}
            argv += ["-chardev", f"socket,id={name},fd={file},server=on,wait=off"]
            argv += ["-device", json.dumps({**controller, "bus": "pcie.0", "max_ports": 2})]
            argv += ["-device", json.dumps({**device, "name": name})]
        inherited = (monitor, agent, console, *ports)
        return await asyncio.create_subprocess_exec(QEMU, *argv, stdin=subprocess.DEVNULL, pass_fds=inherited)


def _files(folder: Path) -> list[cpio.Entry]:
    programs = folder / "programs"
    source = BENCH / "shared_guest.c"
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Werror", "-o", programs, source], check=True)
    program = programs.read_bytes()
    names = ("init", "bin/census", "bin/copy", "bin/leave", "bin/print")
    entries = [cpio.Entry(name, program, executable=True) for name in names]
    entries.append(cpio.Entry("bin/linwin-agent", AGENT.read_bytes(), executable=True))
    return entries + _qemu_ga(folder / "qemu-ga")


def _qemu_ga(folder: Path) -> list[cpio.Entry]:
    folder.mkdir()
    quiet = {"cwd": folder, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    download = ["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", "qemu-guest-agent"]
    subprocess.run(download, **quiet)  # type: ignore[call-overload]
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, "."], **quiet)  # type: ignore[call-overload]
    binary = folder / "usr/sbin/qemu-ga"
    listed = subprocess.check_output(["ldd", binary], text=True)
    assert "not found" not in listed, listed
    libraries = sorted(set(re.findall(r"(/\S+) \(0x", listed)))
    entries = [cpio.Entry("bin/qemu-ga", binary.read_bytes(), executable=True)]
    return entries + [
        cpio.Entry(path.lstrip("/"), Path(path).read_bytes(), executable=True) for path in libraries
    ]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection
