"""Machines and the guests in them as the engine sees them: part of :mod:`linwin.engine.interfaces`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from linwin.errors import Unavailable
from linwin.model.files import FileStat, VolumePath
from linwin.model.guest import Agent, Chunk, Preparation, ProcessSpec
from linwin.model.machine import Checkpoint, MachineExit
from linwin.model.mount import GuestMount
from linwin.model.network import Attachment, Interface
from linwin.model.usage import ProcessInfo, Usage


class Files(Protocol):
    """The files on one container's C:, be it open in a guest or at rest on its disk.

    All raise NotFound where nothing lies at ``path``, Unavailable when the guest
    is lost, the disk full or its volume not clean. Links are followed on the way,
    never out of C:.
    """

    async def stat(self, path: VolumePath) -> FileStat: ...

    def read(self, path: VolumePath) -> AsyncGenerator[bytes, None]:
        """A tar archive of a file, or of a folder and all below it, whose first member is ``path.base``.

        What Windows keeps of a file travels as the records of a Windows layer.
        """

    async def write(self, path: VolumePath, archive: Path, *, keep_kinds: bool) -> None:
        """Unpack an archive into the folder at ``path``.

        Raises InvalidRequest for an archive, or a member of it, that is refused;
        with ``keep_kinds`` also for a file where a folder is, and the reverse.
        """


class FilesAtRest(Files, Protocol):
    """The files on a disk that no machine has open."""

    async def names(self, path: VolumePath) -> Sequence[tuple[str, bool]]:
        """What is in a folder: names in their order, and whether each is a folder itself."""


class Line(Protocol):
    """A stream of bytes to and from a machine's serial console or screen."""

    async def receive(self) -> bytes:
        """What comes next; empty at the end."""

    async def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises Unavailable when the machine has ended."""

    def close(self) -> None:
        """Hang up, when nobody receives or sends any more. Idempotent."""


class Machine(Protocol):
    """One running virtual machine."""

    @property
    def pid(self) -> int: ...

    @property
    def agent_socket(self) -> Path: ...

    @property
    def exited(self) -> asyncio.Future[MachineExit]:
        """Resolves when the machine's process has ended, for whatever reason."""

    async def insert_disk(self, image: Path) -> None:
        """Exchange the qcow2 behind C:, once, while the guest is halted and has not mounted it."""

    async def connect_nic(self, *, connected: bool) -> None:
        """Plug the cable of the NIC that it has from its start in, or pull it. Idempotent."""

    async def plug_nic(self, tap: int, nic_id: str, mac: str) -> None:
        """Hot-plug a NIC on an open file of a tap, which stays the caller's to close, and is of no other use.

        ``nic_id`` is unique in the machine, and names the NIC when it is to be unplugged.
        Raises Conflict when no port is free, Unavailable in QEMU's words.
        """

    async def plug_user_nic(self, nic_id: str, attachment: Attachment) -> None:
        """Hot-plug a NIC whose network is QEMU itself, which listens at the attachment's ports.

        Raises Conflict when no port of the machine's is free, Unavailable in QEMU's words.
        """

    async def unplug_nic(self, nic_id: str) -> None:
        """Take a NIC out; returns when the guest has let go of it. Idempotent. Raises Unavailable."""

    async def move(self, run_dir: Path) -> None:
        """Make ``run_dir``, an empty folder beside its own, its run folder, by rename."""

    async def pause(self) -> None:
        """Halt its CPUs. Idempotent."""

    async def resume(self) -> None:
        """Let its CPUs go on. Idempotent."""

    async def press_power_button(self) -> None:
        """Ask its guest's operating system to shut down and switch the machine off. Raises Unavailable."""

    async def quit(self) -> None:
        """End the machine now, without asking its guest. Returns when the process is gone. Idempotent."""

    @property
    def restarts(self) -> int:
        """How often its guest has restarted it, as far as this daemon has watched."""

    async def disk_written(self) -> int:
        """How many bytes its guest has written to C: since it was started. Raises Unavailable."""

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines that the guest's kernel and agent wrote to its console."""

    def console(self, *, last: int | None, follow: bool) -> AsyncGenerator[str, None]:
        """What is kept of the console, from the ``last`` lines on where given, as printable text.

        With ``follow`` also what comes, until the machine ends. Raises Unavailable.
        """

    async def open_console(self) -> Line:
        """The console as a terminal has it. Raises Unsupported, or Conflict while somebody else has it."""

    async def screenshot(self) -> bytes:
        """What its screen shows, as a PNG. Raises Unsupported where it has none."""

    async def open_screen(self) -> Line:
        """A client's end of a VNC server (RFC 6143). Raises Unsupported where there is no screen."""


class Mold(Protocol):
    """A machine that is booted only to be frozen."""

    @property
    def agent_socket(self) -> Path: ...

    @property
    def exited(self) -> asyncio.Future[MachineExit]: ...

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]: ...

    async def freeze(self) -> Checkpoint:
        """Freeze the guest as it is, end the machine, keep the checkpoint. Raises Unavailable."""

    async def quit(self) -> None:
        """End the machine and let go of its memory. Idempotent."""


class Process(Protocol):
    """One process in a guest. Offsets count bytes of one stream from the process's start."""

    def output(self) -> AsyncIterator[Chunk]:
        """What the process prints, both streams, until both ended. To be iterated once."""

    async def acknowledge(self, chunk: Chunk) -> None:
        """Say that ``chunk`` and all before it on its stream is on disk; lets the guest send more."""

    async def write(self, data: bytes) -> None:
        """Send to stdin; waits while the guest's window is closed. No-op after the process ended."""

    async def close_stdin(self) -> None: ...

    async def wait(self) -> int:
        """The exit code, unsigned 32 bits. Raises Unavailable when the guest is lost."""

    async def signal(self, name: str) -> None:
        """Send TERM, KILL, INT or BREAK as docker maps them on Windows."""

    async def resize(self, rows: int, columns: int) -> None:
        """Change the size of its terminal. No-op after the process ended, InvalidRequest without one."""


class Guest(Protocol):
    """A session with one guest's agent."""

    @property
    def agent(self) -> Agent:
        """What the agent said of itself."""

    @property
    def runs_on_c(self) -> bool:
        """Whether its system was started from C:, and has it open until it has shut down."""

    @property
    def lost(self) -> Unavailable | None:
        """Why nothing can be asked of it any more, None while something can."""

    async def warm(self) -> None:
        """Start what every container needs, before the guest is frozen. At most once, before prepare."""

    async def rehearse(self, c_serial: str) -> None:
        """Have a restored guest do once what it will for its container, so that an emulator knows it.

        The disk of that serial number is mounted, read and unmounted.
        """

    async def prepare(self, preparation: Preparation) -> None:
        """Mount C:, load its registry, set name, clock and random numbers."""

    async def mount(self, mounts: Sequence[GuestMount]) -> None:
        """Mount files of the host, outer ones first, once it is prepared. What is mounted goes with shutdown.

        Raises Unavailable, for an agent that cannot too.
        """

    async def unmount(self, *, timeout: float) -> None:
        """Write out and give up what is mounted. A later shutdown is not needed for that."""

    async def connect_interface(self, interface: Interface) -> None:
        """Configure a NIC that was plugged in while the container runs. Raises Unavailable."""

    async def forget_interface(self, mac: str) -> None:
        """Take down a NIC that is about to be unplugged. Idempotent."""

    async def set_clock(self, time_ns: int) -> None:
        """Set the time of day, in nanoseconds since the epoch; left alone where it is right.

        Raises Unavailable. Agents that are too old for it leave the clock as it is.
        """

    async def spawn(self, process_id: str, spec: ProcessSpec) -> Process:
        """Start a process. Raises CommandNotFound or CommandNotExecutable in docker's words."""

    async def adopt(self, process_id: str, *, stdout: int, stderr: int) -> Process | None:
        """Go on with a process of an earlier session from the given stream offsets; None if unknown."""

    @property
    def files(self) -> Files:
        """The files on its C:. An archive to be unpacked has been through :meth:`Disks.plain_copy`."""

    async def flush(self) -> None:
        """Write the registry, and all that waits in memory, out to C:. Programs go on. Raises Unavailable."""

    async def processes(self) -> Sequence[ProcessInfo]:
        """What runs in the guest, but for the guest's own plumbing. Raises Unavailable."""

    async def stats(self) -> Usage:
        """What the guest has taken since its boot. Raises Unavailable, for nonsense too."""

    async def shutdown(self, *, timeout: float) -> None:
        """End all processes, flush the registry, sync and unmount C:. The disk is clean afterwards.

        One that :attr:`runs_on_c` cannot unmount it: there the disk is clean when the machine is off.
        """

    def rest(self, value: bool) -> None:
        """Say that the guest's machine is halted and owes no sign of life, or that it goes on."""

    async def close(self) -> None:
        """End the session; the guest keeps running. Idempotent."""


class Guests(Protocol):
    """Connects to agents."""

    def opening(self, session: str) -> bytes:
        """What a host says first to an agent, which repeats the session's name in its answer.

        It is at most 64 characters of ASCII.
        """

    async def connect(self, machine: Machine | Mold, *, timeout: float) -> Guest:
        """Wait for the agent's hello.

        Raises Unavailable, quoting the last console lines, when the machine
        ends first or no hello arrives within ``timeout`` seconds.
        """
