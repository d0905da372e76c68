"""The libvirt driver: starts domains, finds them again, saves and restores them.

Which machine it is, and what it consists of, is the direct driver's word
(:mod:`linwin.machine.domain`); so is which accelerator guests get.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from linwin import paths
from linwin.errors import InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.host.files import write_atomically
from linwin.host.pidfd import WatchedProcess, find_with_words
from linwin.host.resources import device_group
from linwin.machine.accel import KVM
from linwin.machine.checkpoints import SAVED, CheckpointStore, described, key_of
from linwin.machine.describe import describe, describe_any
from linwin.machine.domain import Accelerator, Descriptors
from linwin.machine.libvirt import saved
from linwin.machine.libvirt.host import LibvirtHost, binding
from linwin.machine.libvirt.machine import LibvirtMachine
from linwin.machine.libvirt.mold import LibvirtMold
from linwin.machine.libvirt.xml import Identity, Owner, agent_socket, domain_xml, emulator_user
from linwin.machine.qemu import (
    DEFAULT_BUDGET,
    QemuMachines,
    emulator,
    fresh_log,
    host_failure,
    make_ready,
    permission_hint,
    require_memory,
)
from linwin.machine.running import QemuMachine
from linwin.model.machine import Abilities, Checkpoint, MachineSpec, Room
from linwin.paths import Paths

Start = Callable[[Any, str], object]
"""Makes a domain of a connection and a description; called in a thread."""

_ANYWHERE = Path("/run")
_NOTHING = Descriptors(0, 0, 0)


class LibvirtMachines:
    """Implements :class:`linwin.engine.interfaces.Machines`."""

    abilities = Abilities(first_nic=False, disk_exchange=False)

    def __init__(self, locations: Paths, uri: str, *, checkpoint_budget: int = DEFAULT_BUDGET) -> None:
        """``uri`` is libvirt's, of a daemon on this host; ``checkpoint_budget`` as for QemuMachines.

        Raises InvalidRequest for a session of root's.
        """
        self._is_session = urlsplit(uri).path == "/session"  # where guests are all its user's own
        if self._is_session and os.geteuid() == 0:
            raise InvalidRequest(
                f"guests would run as root: {uri} is a session, and the daemon is root's",
                hint="Set machine.uri to qemu:///system, where each guest has a host user of its own.",
            )
        self._locations = locations
        self._host = LibvirtHost(uri)
        self._direct = QemuMachines(locations, checkpoint_budget=0)
        self.store = CheckpointStore(locations.checkpoints, checkpoint_budget)

    async def accelerator(self) -> Accelerator:
        """``kvm`` or ``tcg``, as the direct driver finds it."""
        return (await self._direct.acceleration()).name

    async def version(self) -> str:
        """As ``libvirt 9.0.0 with QEMU 7.2.22``."""
        library = await self._host.call("tell its version", lambda connection: connection.getLibVersion())
        return f"libvirt {_dotted(library)} with {await self._direct.version()}"

    async def room(self, spec: MachineSpec) -> Room:
        """As for the direct driver: a restored machine has all of its RAM for itself under either."""
        return await self._direct.room(spec)

    async def boot(self, spec: MachineSpec, tap: int | None = None) -> LibvirtMachine:
        """Start a machine, and do not wait for its guest."""
        return await self._launch(spec, tap, _create)

    async def restore(self, spec: MachineSpec, tap: int | None = None) -> LibvirtMachine | None:
        """Start a clone of the checkpoint of this description; None where there is none.

        Raises Unavailable, and deletes the checkpoint, when it cannot be restored.
        """
        key = await self._key(spec)
        file = await self.store.open_saved(key)
        if file is None:
            return None
        pipe, tried = spec.run_dir / SAVED, threading.Event()

        def start(connection: Any, description: str) -> None:
            tried.set()
            beginning, rest = saved.redescribed(file, description)
            running = binding().VIR_DOMAIN_SAVE_RUNNING
            saved.through_pipe(
                pipe, beginning, file, rest, lambda path: connection.restoreFlags(path, None, running)
            )

        with closing(file):
            try:
                return await self._launch(spec, tap, start)
            except Unavailable as error:
                if tried.is_set():  # a host without room for it is no fault of the checkpoint's
                    await self.store.discard(key, error.message)
                raise

    async def mold(self, spec: MachineSpec, tap: int | None = None) -> LibvirtMold:
        """Boot a machine that is to be frozen."""
        accelerator = await self.accelerator()
        cpus = describe_any(spec, accelerator).cpus
        checkpoint = described(await self._key(spec), spec.template, spec.memory, cpus, accelerator)
        return LibvirtMold(await self.boot(spec, tap), spec.run_dir / SAVED, checkpoint, self.store)

    async def has_checkpoint(self, spec: MachineSpec) -> bool:
        """Whether a checkpoint of this description is there, readable or not."""
        return self.store.has(await self._key(spec))

    async def discard_checkpoint(self, spec: MachineSpec, why: str) -> None:
        """Delete the checkpoint of this description, if there is one."""
        await self.store.discard(await self._key(spec), why)

    async def checkpoints(self) -> list[Checkpoint]:
        """All that are kept, the most recently used first."""
        return await asyncio.to_thread(self.store.kept)

    async def remove_checkpoint(self, reference: str) -> Checkpoint:
        """Delete one by its key or a unique beginning of it. Raises NotFound."""
        return await self.store.remove(reference)

    async def adopt(self, spec: MachineSpec, pid: int) -> LibvirtMachine | QemuMachine | None:
        """Take over the machine of ``spec.run_dir``, whichever driver started it."""
        uuid = _recorded(spec.run_dir) or self._identity(spec).uuid
        try:
            return await self._taken_over(spec, uuid)
        except NotFound:
            (spec.run_dir / paths.DOMAIN_FILE).unlink(missing_ok=True)
        return await self._direct.adopt(spec, pid)

    async def close(self) -> None:
        """Let go of libvirt; machines run on. Idempotent."""
        await self._host.close()

    async def _launch(self, spec: MachineSpec, tap: int | None, start: Start) -> LibvirtMachine:
        """Have libvirt start a domain. Raises Unavailable; nothing is left then."""
        if spec.nic or tap is not None:
            raise ValueError("under libvirt no machine starts with a NIC")
        accelerator = await self.accelerator()
        firmware = await make_ready(spec)
        machine = describe(spec, accelerator, _NOTHING, firmware=firmware)
        require_memory(machine)
        identity, console_log = self._identity(spec), spec.run_dir / paths.CONSOLE_LOG
        description = domain_xml(
            machine,
            identity,
            title=spec.title,
            console_log=console_log,
            owner=self._owner(spec, accelerator),
        )
        try:
            fresh_log(console_log).close()
            # First: the next daemon has to find what this one may be about to start.
            write_atomically(spec.run_dir / paths.DOMAIN_FILE, f"{identity.uuid}\n".encode(), durable=False)
            await self._host.call("start the machine", lambda connection: start(connection, description))
            return await self._taken_over(spec, identity.uuid)
        except BaseException as error:
            await self._end(spec, identity.uuid)
            if isinstance(error, OSError | LinwinError):
                raise _start_failure(spec, error) from error
            raise

    async def _taken_over(self, spec: MachineSpec, uuid: UUID) -> LibvirtMachine:
        """A domain that runs. Raises NotFound for one that does not, Unavailable."""
        live = await self._host.domain_call(
            uuid, "describe the machine", lambda domain: str(domain.XMLDesc(0))
        )
        socket, user = agent_socket(live), emulator_user(live)
        find = partial(find_with_words, uid=os.geteuid() if user is None else user)
        pids = await asyncio.to_thread(find, "-uuid", str(uuid))
        if socket is None or not pids:
            raise NotFound(f"the machine {spec.id[:12]} has ended")
        try:
            process = WatchedProcess(pids[0])
        except ProcessLookupError as error:
            raise NotFound(f"the machine {spec.id[:12]} has ended") from error
        return LibvirtMachine(spec, self._host, uuid, process, socket)

    async def _end(self, spec: MachineSpec, uuid: UUID) -> None:
        """Undo a start as far as it came."""
        with suppress(LinwinError):  # there is no such domain, or nobody to ask, as is being told
            await self._host.domain_call(uuid, "end the machine", lambda domain: domain.destroy())
        (spec.run_dir / paths.DOMAIN_FILE).unlink(missing_ok=True)

    async def _key(self, spec: MachineSpec) -> str:
        """The key of the checkpoint from which ``spec`` can be restored."""
        accelerator = await self.accelerator()
        nobody = Identity("", Path(), "")
        description = domain_xml(
            describe_any(spec, accelerator), nobody, title="", console_log=_ANYWHERE, owner=None
        )
        library = await self._host.call("tell its version", lambda connection: connection.getLibVersion())
        return key_of(spec.template, [description], ["libvirt", library, *emulator(accelerator)])

    def _identity(self, spec: MachineSpec) -> Identity:
        return Identity(spec.id, self._locations.root, self._locations.tag)

    def _owner(self, spec: MachineSpec, accelerator: Accelerator) -> Owner | None:
        """The host user of a machine."""
        if self._is_session:
            return None
        group = device_group(KVM) if accelerator == "kvm" else spec.uid or os.getegid()
        return Owner(spec.uid or os.geteuid(), group)


def left_running(locations: Paths) -> list[str]:
    """The ids of containers whose machines run under libvirt, which is not asked. Raises OSError."""
    left = []
    for folder in locations.containers.glob("*"):
        uuid, overlay = _recorded(locations.machine(folder.name)), locations.overlay(folder.name)
        # Whose the disk is, his is the emulator.
        if uuid and overlay.exists() and find_with_words("-uuid", str(uuid), uid=overlay.stat().st_uid):
            left.append(folder.name)
    return left


def _create(connection: Any, description: str) -> object:
    return connection.createXML(description, 0)


def _dotted(number: int) -> str:
    """A version as libvirt counts them."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _recorded(run_dir: Path) -> UUID | None:
    """The domain that a run folder names; that of a guest which was moved there has another's."""
    try:
        return UUID((run_dir / paths.DOMAIN_FILE).read_text().strip())
    except (OSError, ValueError):
        return None


def _start_failure(spec: MachineSpec, error: OSError | LinwinError) -> LinwinError:
    if isinstance(error, OSError):
        return host_failure(spec.run_dir, error)
    hint = permission_hint(spec) if spec.uid and "Permission denied" in error.message else error.hint
    return Unavailable(f"the container's machine did not start: {error.message}", hint=hint)
