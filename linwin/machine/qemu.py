"""The direct QEMU driver: starts QEMU itself and speaks QMP with it."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import BinaryIO

from linwin import paths
from linwin.errors import OutOfMemory, Unavailable
from linwin.host.files import tail, write_atomically
from linwin.host.pidfd import ProcessIdentity, WatchedProcess, command_line, find_working_in, spawn
from linwin.host.process import run
from linwin.host.programs import find_program, last_words
from linwin.host.resources import available_memory, device_group, first_closed_folder, total_memory
from linwin.host.sockets import listen
from linwin.machine.accel import KVM, Acceleration, find_acceleration, host_cpu
from linwin.machine.checkpoints import CheckpointStore, described, key_of
from linwin.machine.describe import AnyDomain, arguments, describe, describe_any
from linwin.machine.domain import Accelerator, Descriptors, Ram, machine_name, name_argument
from linwin.machine.firmware import find_firmware, keep_variables
from linwin.machine.frozen import empty_memory
from linwin.machine.mold import Mold
from linwin.machine.running import QemuMachine, remove_endpoints
from linwin.model.machine import Abilities, Checkpoint, FirmwareBoot, LinuxBoot, MachineSpec, Room
from linwin.paths import Paths

BINARY = "qemu-system-x86_64"
START_SECONDS = 30.0
"""How long QEMU may take to answer on its monitor; it takes 0.05 s on an idle host."""

DEFAULT_BUDGET = 4 << 30
"""Bytes on disk that checkpoints may take; one of the wine template takes 120 MiB."""

# The sockets of a process that dies are closed a little before it has ended.
_DYING_SECONDS = 1.0

_log = logging.getLogger(__name__)


class QemuMachines:
    """Implements :class:`linwin.engine.interfaces.Machines`."""

    abilities = Abilities()

    def __init__(self, locations: Paths, *, checkpoint_budget: int = DEFAULT_BUDGET) -> None:
        """``checkpoint_budget`` is in bytes on disk; with 0 there are no checkpoints."""
        self._cache = locations.cache
        self.store = CheckpointStore(locations.checkpoints, checkpoint_budget)
        self._probing = asyncio.Lock()
        self._told: str | None = None

    async def accelerator(self) -> Accelerator:
        """``kvm`` or ``tcg``; see :meth:`acceleration`."""
        return (await self.acceleration()).name

    async def acceleration(self) -> Acceleration:
        """The accelerator and, where it is not KVM, why, which is logged once.

        Raises Unavailable when QEMU is missing.
        """
        binary = Path(find_program(BINARY))
        try:
            async with self._probing:
                found = await find_acceleration(binary, self._cache)
        except OSError as error:
            raise Unavailable(f"the accelerator of this host could not be probed: {error}") from error
        if found.reason and found.reason != self._told:
            _log.warning("%s", found.reason)
            self._told = found.reason
        return found

    async def version(self) -> str:
        """As ``QEMU 7.2.22``. Raises Unavailable when QEMU is missing."""
        completed = await run([BINARY, "--version"], timeout=START_SECONDS, check=True)
        found = re.search(rb"version ([0-9][0-9.]*)", completed.stdout)
        if found is None:
            raise Unavailable(f"{BINARY} --version printed no version")
        return f"QEMU {found[1].decode()}"

    async def room(self, spec: MachineSpec) -> Room:
        """Its footprint, and what the host and the control groups above this process leave for it.

        Raises Unavailable where the host lacks the firmware that the machine is to start from.
        """
        if isinstance(spec.boot, FirmwareBoot):
            await asyncio.to_thread(find_firmware)
        footprint = describe_any(spec, (await self.acceleration()).name).footprint
        return Room(footprint, available_memory(), total_memory())

    async def boot(self, spec: MachineSpec, tap: int | None = None) -> QemuMachine:
        """Start a machine and wait for its monitor, not for its guest.

        ``tap`` is an open file of the tap that its NIC is to have, without a cable between them yet.
        """
        return await _launch(spec, (await self.acceleration()).name, tap=tap)

    async def restore(self, spec: MachineSpec, tap: int | None = None) -> QemuMachine | None:
        """Start a clone of the checkpoint of this description; None where there is none.

        Its NIC's ``tap`` is as for :meth:`boot`. Raises Unavailable, and deletes the checkpoint, when
        it cannot be restored.
        """
        accelerator = (await self.acceleration()).name
        key = _key(spec, accelerator)
        memory = await self.store.open(key)
        if memory is None:
            return None
        with closing(memory):
            machine = await _launch(spec, accelerator, Ram(memory.ram, shared=False), tap=tap, clone=True)
            state = memory.open_state()
            try:
                await machine.thaw(state)
            except BaseException as error:
                await machine.quit()
                if isinstance(error, Unavailable):
                    await self.store.discard(key, error.message)
                raise
            finally:
                os.close(state)
        return machine

    async def mold(self, spec: MachineSpec, tap: int | None = None) -> Mold:
        """Boot a machine that is to be frozen, with less right to the host's CPUs than others."""
        accelerator = (await self.acceleration()).name
        ram = empty_memory("linwin-ram", spec.memory << 20)
        try:
            domain = describe_any(spec, accelerator)
            machine = await _launch(spec, accelerator, Ram(ram, shared=True), tap=tap, background=True)
        except BaseException:
            os.close(ram)
            raise
        checkpoint = described(_key(spec, accelerator), spec.template, spec.memory, domain.cpus, accelerator)
        return Mold(machine, ram, checkpoint, self.store)

    async def has_checkpoint(self, spec: MachineSpec) -> bool:
        """Whether a checkpoint of this description is there, readable or not."""
        return self.store.has(_key(spec, (await self.acceleration()).name))

    async def discard_checkpoint(self, spec: MachineSpec, why: str) -> None:
        """Delete the checkpoint of this description, if there is one."""
        await self.store.discard(_key(spec, (await self.acceleration()).name), why)

    async def checkpoints(self) -> list[Checkpoint]:
        """All that are kept, the most recently used first."""
        return await asyncio.to_thread(self.store.kept)

    async def remove_checkpoint(self, reference: str) -> Checkpoint:
        """Delete one by its key or a unique beginning of it. Raises NotFound."""
        return await self.store.remove(reference)

    async def adopt(self, spec: MachineSpec, pid: int) -> QemuMachine | None:
        """Take over the machine that runs in ``spec.run_dir``.

        The pid file tells which process that is. A daemon that died before it
        wrote one left a QEMU that still works in the run folder, whatever
        ``pid`` its state remembers. A machine whose monitor does not answer is
        ended: nothing could be done with it.
        """
        process = _find(spec)
        if process is None:
            remove_endpoints(spec.run_dir)
            return None
        if process.pid != pid:
            _log.warning("machine %s runs as %d, not as %d", spec.id[:12], process.pid, pid)
        machine = QemuMachine(spec, process)
        try:
            await machine.open_monitor(timeout=START_SECONDS)
        except Unavailable:
            _log.warning("ending machine %s, whose monitor does not answer", spec.id[:12], exc_info=True)
            await machine.quit()
            return None
        return machine


async def _launch(
    spec: MachineSpec,
    accelerator: Accelerator,
    ram: Ram | None = None,
    *,
    tap: int | None = None,
    clone: bool = False,
    background: bool = False,
) -> QemuMachine:
    """Start QEMU and wait for its monitor. Raises Unavailable; nothing is left then."""
    if spec.nic != (tap is not None):
        raise ValueError("a machine has a tap if it has a NIC, and only then")
    firmware = await make_ready(spec)
    try:
        process = _start(spec, accelerator, ram, tap, firmware, clone=clone, background=background)
    except OSError as error:
        raise host_failure(spec.run_dir, error) from error
    machine = QemuMachine(spec, process)
    try:
        _write_pid(spec, process.pid)
        await machine.open_monitor(timeout=START_SECONDS)
        if spec.nic and not clone:  # which was frozen without
            await machine.connect_nic(connected=False)
    except Unavailable as error:
        raise await _start_failure(spec, machine, error) from error
    except OSError as error:
        await machine.quit()
        raise host_failure(spec.run_dir, error) from error
    except BaseException:
        await machine.quit()
        raise
    return machine


def _key(spec: MachineSpec, accelerator: Accelerator) -> str:
    """The key of the checkpoint from which ``spec`` can be restored."""
    return key_of(spec.template, arguments(describe_any(spec, accelerator)), emulator(accelerator))


def emulator(accelerator: Accelerator) -> list[object]:
    """What tells this host's QEMU, and with KVM the host, from others whose checkpoints are not for it."""
    binary = Path(find_program(BINARY)).resolve()
    status = binary.stat()
    found: list[object] = [str(binary), status.st_size, status.st_mtime_ns]
    if accelerator == "kvm":
        found += [platform.release(), host_cpu()]  # the guest's CPU is the host's
    return found


def _start(
    spec: MachineSpec,
    accelerator: Accelerator,
    ram: Ram | None,
    tap: int | None,
    firmware: Path | None,
    *,
    clone: bool,
    background: bool,
) -> WatchedProcess:
    """Start QEMU with everything it inherits; afterwards QEMU alone holds its sockets."""
    (spec.run_dir / paths.PID_FILE).unlink(missing_ok=True)  # it would speak of another QEMU
    with ExitStack() as stack:
        endpoints = stack.enter_context(ExitStack())
        endpoints.callback(remove_endpoints, spec.run_dir)
        monitor = stack.enter_context(listen(spec.run_dir / paths.MONITOR_SOCKET))
        agent = stack.enter_context(listen(spec.run_dir / paths.AGENT_SOCKET))
        console = stack.enter_context(fresh_log(spec.run_dir / paths.CONSOLE_LOG))
        output = stack.enter_context(fresh_log(spec.run_dir / paths.QEMU_LOG))
        typing = stack.enter_context(listen(spec.run_dir / paths.CONSOLE_SOCKET)) if spec.screen else None
        descriptors = Descriptors(
            monitor.fileno(), agent.fileno(), console.fileno(), tap, typing.fileno() if typing else None
        )
        machine = describe(spec, accelerator, descriptors, ram, clone=clone, firmware=firmware)
        require_memory(machine)
        inherited = [descriptors.monitor, descriptors.agent, descriptors.console]
        inherited += [] if ram is None else [ram.file]
        inherited += [file for file in (tap, descriptors.typing) if file is not None]
        process = spawn(
            [*(_nicely() if background else ()), find_program(BINARY), *arguments(machine)],
            output=output,
            cwd=spec.run_dir,
            pass_fds=inherited,
            uid=spec.uid,
            groups=[device_group(KVM)] if accelerator == "kvm" else [],
        )
        endpoints.pop_all()  # they are the machine's now
        return process


async def make_ready(spec: MachineSpec) -> Path | None:
    """Make what a machine needs besides its disks: its variables. Its firmware's code is returned.

    Raises Unavailable where there is no firmware, or its variables cannot be kept.
    """
    if not isinstance(spec.boot, FirmwareBoot):
        return None
    return await asyncio.to_thread(_keep_variables, spec.boot, spec.uid or os.geteuid())


def _keep_variables(boot: FirmwareBoot, uid: int) -> Path:
    firmware = find_firmware()
    try:
        keep_variables(firmware, boot.variables, uid)
    except OSError as error:
        raise host_failure(boot.variables, error) from error
    return firmware.code


def _nicely() -> list[str]:
    """Words that give a program less right to the CPUs than others have."""
    return [find_program("nice"), "-n", "10"]


def fresh_log(path: Path) -> BinaryIO:
    """An empty file open for appending, so that it can be cut while it is written."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)


def require_memory(machine: AnyDomain) -> None:
    """Raises OutOfMemory where this host has no room for a machine now."""
    available = available_memory()
    if available < machine.footprint:
        raise OutOfMemory(
            f"not enough memory for a guest of {machine.memory} MiB: it needs {machine.footprint} MiB "
            f"with its emulator, and {available} MiB are available",
            hint="stop other containers, or give this one less memory with --memory",
        )


def _write_pid(spec: MachineSpec, pid: int) -> None:
    identity = ProcessIdentity.of(pid)
    if identity is not None:  # it may have ended already, which the monitor is about to tell
        write_atomically(spec.run_dir / paths.PID_FILE, f"{identity}\n".encode(), durable=False)


def _find(spec: MachineSpec) -> WatchedProcess | None:
    """The QEMU of a run folder, by its pid file or else by the folder it works in."""
    identity = ProcessIdentity.parse(tail(spec.run_dir / paths.PID_FILE, 200).decode(errors="replace"))
    if identity is not None and (process := WatchedProcess.open(identity)):
        return process
    for pid in find_working_in(spec.run_dir):
        identity = ProcessIdentity.of(pid)
        if identity is not None and name_argument(machine_name(spec)) in command_line(pid):
            return WatchedProcess.open(identity)
    return None


def host_failure(path: Path, error: OSError) -> Unavailable:
    """Of a start that needs a file or folder of this host, and could not have it."""
    return Unavailable(f"the container's machine did not start: {path}: {error.strerror or error}")


async def _start_failure(spec: MachineSpec, machine: QemuMachine, error: Unavailable) -> Unavailable:
    """End a machine whose monitor did not do as asked, and say why: in QEMU's own words if it said any."""
    ended, _ = await asyncio.wait([machine.exited], timeout=_DYING_SECONDS)
    words = last_words(tail(spec.run_dir / paths.QEMU_LOG, 4096))
    await machine.quit()
    why = (words or f"QEMU exited with {(await machine.exited).code}") if ended else error.message
    hint = permission_hint(spec) if spec.uid and "Permission denied" in words else None
    return Unavailable(f"the container's machine did not start: {why}", hint=hint)


def permission_hint(spec: MachineSpec) -> str:
    match spec.boot:
        case LinuxBoot(kernel, initrd, _, root_disk):
            read = (kernel, initrd, root_disk)
        case FirmwareBoot(discs=read):
            pass
    for path in read:
        if folder := first_closed_folder(path, spec.uid):
            return f"QEMU runs as user {spec.uid}, who may not enter {folder}: chmod o+x {folder}"
    return f"QEMU runs as user {spec.uid}, who must be able to read the template's files"
