"""One bare wine guest for the suite: the daemon's QEMU command line, started again with a second port.

The daemon's agent serves one host, which is the daemon; so the guest is a machine
of the suite's own. Its second virtio-serial controller has the port that the
Windows build serves, which runs in the guest under the first agent.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from linwin.guest import AgentGuest, AgentGuests, GuestProcess
from linwin.machine.domain import C_NODE, c_node, medium_node
from linwin.model.guest import Preparation, ProcessSpec
from linwin.model.machine import C_SERIAL
from tests.vm.conftest import GUEST_TIMEOUT, Linwin

from .steady import steady
from .targets import AGENTS, ROOT, UNDER_NEWER_WINE, HostMachine, Target

IMAGE = "example/conformance"
FOLDER = "C:\\conformance\\"
SECOND_PORT = "org.linwin.agent.1"
SECOND_NODE = "\\\\?\\unix\\dev\\vport4p1"
"""The port's device of the Linux side, as Wine names it, which knows no virtio-serial ports.

A port is numbered by its controller's place among all virtio devices: this one is
behind those of the first port, the root disk and the entropy."""


OF_THE_LAUNCHER = {"no other handles": "the launcher's three standard handles come with the program's own"}
"""What the Linux build's Windows programs lack in a wine guest."""


@dataclass(frozen=True)
class Guest:
    """The folder in which the sockets of a guest's two ports are, and its console."""

    folder: Path

    def machine(self, port: str) -> HostMachine:
        return HostMachine(self.folder / port, self.folder / "console")

    def target(self, kind: str) -> Target:
        """The Linux build, of kind wine, or the Windows build."""
        port, lacks = ("agent", OF_THE_LAUNCHER) if kind == "wine" else ("windows", UNDER_NEWER_WINE)
        return Target(
            f"{kind} in a guest", kind, f"{FOLDER}subject.exe", self.machine(port), f"{FOLDER}work\\",
            own=False, lacks=lacks, prefix=f"{secrets.token_hex(4)}-",
        )  # fmt: skip


@contextmanager
def booted(linwin: Linwin, folder: Path, subject: Path) -> Iterator[Guest]:
    """Boot the guest cold, with the suite's programs on C:, and start the Windows build in it."""
    _load_image(linwin, folder, subject)
    argv, disk = _learn(linwin, folder)
    guest = Guest(folder)
    with subprocess.Popen(
        [*_rewire(argv, folder, disk), *_second_port(folder / "second")], stdin=subprocess.DEVNULL
    ) as qemu:
        try:
            _wait_for(folder / "agent")
            asyncio.run(_prepare(guest, qemu.pid))
            with steady(folder / "second", folder / "windows"):
                yield guest
        finally:
            qemu.kill()
    linwin("rmi", IMAGE)


def _load_image(linwin: Linwin, folder: Path, subject: Path) -> None:
    files = folder / "files"
    (files / "agent").mkdir(parents=True)  # apart: programs are looked for beside the agent as well
    shutil.copy(subject, files / "subject.exe")
    shutil.copy(AGENTS / "linwin-agent.exe", files / "agent")
    pack = [
        sys.executable,
        ROOT / "examples/programs/pack.py",
        "conformance",
        folder / "image.tar",
        "--files",
        files,
    ]
    subprocess.run(pack, check=True, env=linwin.environment)
    linwin("load", "-i", str(folder / "image.tar"))


def _learn(linwin: Linwin, folder: Path) -> tuple[list[str], Path]:
    """The command line of a container's QEMU, and a disk of our own with what the container has on C:."""
    identity = linwin.text("run", "-d", "--cold", IMAGE, f"{FOLDER}subject.exe", "sleep").strip()
    try:
        pid = linwin.inspect(identity)["State"]["Pid"]
        argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        overlay = linwin.root / "containers" / identity / "c.qcow2"
        info = json.loads(subprocess.check_output(["qemu-img", "info", "-U", "--output=json", overlay]))
        backing = Path(info["full-backing-filename"]).resolve()
    finally:
        linwin("rm", "-f", identity)
    disk = folder / "c.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backing, "-F", "qcow2", disk]
    subprocess.run(create, check=True)
    return argv, disk


def _rewire(argv: list[str], folder: Path, disk: Path) -> list[str]:
    """The command line with sockets and files in a folder instead of inherited descriptors, and no NIC."""
    words = []
    argv[argv.index(_c_node(argv))] = json.dumps(c_node(medium_node(disk)))
    for word in argv:
        word = re.sub(r"socket,id=(\w+),fd=\d+", rf"socket,id=\1,path={folder}/\1", word)
        words.append(re.sub(r"file,id=console,path=[^,]+", f"file,id=console,path={folder}/console", word))
    for option, length in (("-add-fd", 2), ("-netdev", 4)):  # with its device, which follows
        at = words.index(option)
        del words[at : at + length]
    return words


def _c_node(argv: list[str]) -> str:
    return next(word for word in argv if f'"node-name": "{C_NODE}"' in word)


def _second_port(path: Path) -> list[str]:
    return [
        *("-chardev", f"socket,id=second,path={path},server=on,wait=off"),
        *("-device", "virtio-serial-pci,id=serial2,max_ports=2,bus=pcie.0,addr=0x6,disable-legacy=on"),
        *("-device", f"virtserialport,bus=serial2.0,nr=1,chardev=second,name={SECOND_PORT}"),
    ]


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"QEMU made no {path.name}"
        time.sleep(0.01)  # QEMU binds it itself; there is no event to wait for


async def _prepare(guest: Guest, pid: int) -> None:
    """Make the guest one container, and start the Windows build, which outlives this session."""
    machine, qemu = guest.machine("agent"), os.pidfd_open(pid)
    machine.ends_with(qemu)
    try:
        session = await AgentGuests().connect(machine, timeout=GUEST_TIMEOUT)
        await session.prepare(Preparation("conformance", C_SERIAL, time.time_ns(), b"entropy"))
        await _start_windows_build(session)
        await session.close()
    finally:
        asyncio.get_running_loop().remove_reader(qemu)
        os.close(qemu)


async def _start_windows_build(session: AgentGuest) -> GuestProcess:
    line = f"{FOLDER}agent\\linwin-agent.exe -port {SECOND_NODE}"
    agent = await session.spawn("windows-agent", ProcessSpec((), line, cwd="C:\\"))
    said = b""
    async for chunk in agent.output():
        said += chunk.data
        if b"listening on" in said:
            return agent
    raise AssertionError(f"the Windows build ended: {said.decode(errors='replace')}")
