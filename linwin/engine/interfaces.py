"""The rooms as the engine sees them.

Each Protocol is implemented by the room of the same name, a fake of it serves
the scenario tests, and :mod:`linwin.daemon` injects one of the two as
:class:`Rooms`. All methods that do I/O are coroutines; work that is heavy on
CPU or system calls happens in worker processes behind them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linwin.engine.network_interface import Networks as Networks
from linwin.engine.state_interface import ContainerLog as ContainerLog
from linwin.engine.state_interface import State as State
from linwin.model.files import Change, FileStat, VolumePath
from linwin.model.guest import Chunk, Preparation, ProcessSpec
from linwin.model.image import Image, Layer, Removed
from linwin.model.machine import Checkpoint, MachineExit, MachineSpec, Room
from linwin.model.network import Interface
from linwin.model.progress import Report
from linwin.model.registry import Credentials, Distribution, Pushed, SearchResult
from linwin.model.template import Template, Unusable
from linwin.model.upkeep import Finding
from linwin.model.usage import ProcessInfo, Usage


class StagedImage(Protocol):
    """An image read from an archive, checked, and not yet visible to anyone."""

    @property
    def image(self) -> Image: ...

    async def commit(self) -> Image:
        """Make the image and its references visible, atomically."""

    async def discard(self) -> None:
        """Drop what was staged and no other image uses. Idempotent, safe after commit."""


class StagedPull(StagedImage, Protocol):
    """An image fetched from a registry, checked, and not yet visible to anyone."""

    @property
    def digest(self) -> str:
        """Of the manifest, or of the manifest list, that the reference named."""

    @property
    def saved(self) -> int:
        """Bytes of the base layers that were not downloaded because a template provides them."""


class Images(Protocol):
    """References, content store, archives, registries."""

    async def stage(
        self, archive: Path, templates: Sequence[Template], report: Report
    ) -> Sequence[StagedImage]:
        """Read a docker-archive or OCI archive, verify every digest, and stage its images.

        Raises InvalidRequest for a corrupt, truncated or non-Windows archive,
        Unavailable for a full disk. Nothing is left behind when it raises.
        """

    async def commit_all(self, staged: Sequence[StagedImage]) -> Sequence[Image]:
        """Make staged images and their references visible at once: all of them, or none."""

    async def list(self) -> list[Image]:
        """All images, newest first, the templates' base images included."""

    async def resolve(self, reference: str) -> Image:
        """Find an image by reference, ``name@digest``, id or unique id prefix. Raises NotFound."""

    async def tag(self, source: str, target: str) -> None:
        """Point the reference ``target`` at the image that ``source`` names."""

    async def tags(self, repository: str) -> Sequence[str]:
        """Canonical references of all tags that the repository of a reference has here, sorted.

        None is no error; the reference's own tag does not count.
        """

    async def remove(self, reference: str, *, force: bool, in_use: frozenset[str]) -> Sequence[Removed]:
        """Untag, and delete the image when its last reference went.

        ``in_use`` are the ids of images that containers use; deleting one of
        them raises Conflict unless forced.
        """

    async def adopt_base_images(self, templates: Sequence[Template]) -> None:
        """Make the base images that ``templates`` provide resolvable, and forget those of others."""

    async def pull(
        self,
        reference: str,
        templates: Sequence[Template],
        report: Report,
        credentials: Credentials | None = None,
    ) -> StagedPull:
        """Fetch an image's manifest, config and the layers that no template provides.

        Of a manifest list, the platform that suits the templates best. Layers
        that arrived whole are kept for the next attempt when this one fails.
        Raises NotFound in docker's words for what the registry does not have or
        does not show to these credentials, Unavailable for a registry that
        cannot be reached or stalls, InvalidRequest for content that does not
        match its digest.
        """

    async def push(self, reference: str, report: Report, credentials: Credentials | None = None) -> Pushed:
        """Copy an image to the registry that its reference names.

        As docker's, it reports which repository it refers to before it asks the
        registry anything: what is refused then is told in the stream, where
        docker's client does not answer a 401 with a dialogue about logging in.
        Base layers that are not stored here are mounted there from the
        repository that has them, or named as foreign. Raises NotFound for an
        image that is not here, Conflict when its real base cannot be named.
        """

    async def login(self, credentials: Credentials) -> str:
        """Ask a registry whether it accepts ``credentials``; return its status in docker's words.

        Raises Unauthorized when it does not.
        """

    async def distribution(self, reference: str, credentials: Credentials | None = None) -> Distribution:
        """What the reference's registry has under it now, whatever is here. Raises as :meth:`pull` does."""

    async def search(self, term: str, *, limit: int) -> Sequence[SearchResult]:
        """Repositories whose name or description holds ``term``, from the registry it names or Docker Hub."""

    def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """A tar archive of images, in the OCI layout and docker's at once; the same bytes each time.

        Raises NotFound, before the first bytes, for a reference that is not here.
        """

    async def usage(self) -> tuple[int, int]:
        """Bytes of all blobs, and of those among them that only interrupted pulls keep."""

    async def discard_interrupted(self) -> int:
        """Give up what interrupted pulls have kept; return bytes freed."""

    async def check(self, report: Report, *, repair: bool) -> Sequence[Finding]:
        """Read every blob and record and compare them with their digests and each other."""


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


class Disks(Protocol):
    """Chains of qcow2 overlays whose volume is NTFS."""

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        """Build what is missing of a chain; return its chain id and its end.

        Raises InvalidRequest for a layer that cannot be applied (naming layer
        and entry), Unavailable for a full disk. Nothing is left behind when it raises.
        """

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        """Create a container's own overlay at ``path``, owned by ``uid``."""

    def files(self, overlay: Path) -> Files:
        """The files on the disk of a container at rest; ``write`` does all of it or nothing."""

    async def plain_copy(self, archive: Path, output: Path, overlay: Path) -> None:
        """Check an archive that is to be unpacked on the C: of ``overlay``; write what a guest can unpack.

        Raises InvalidRequest, as ``Files.write`` does, and Unsupported.
        """

    async def changes(self, overlay: Path) -> Sequence[Change]:
        """What differs between the C: of a container at rest and its image's, by path.

        Folders above what differs are among it, as modified; what was in a deleted folder is not.
        """

    async def backing(self, overlay: Path) -> str | None:
        """The chain id that a container's overlay stands on; None when it is no overlay of a chain."""

    async def prune(self, keep: frozenset[str]) -> int:
        """Delete every chain that no id in ``keep`` needs as itself or an ancestor; return bytes freed."""

    async def flatten(self, chain_end: Path, target: Path, report: Report) -> None:
        """Write all that a chain's end shows to ``target``, one qcow2 without a backing file.

        Raises Unavailable for a full disk; ``target`` is whole or absent.
        """

    async def usage(self) -> dict[str, int]:
        """Bytes that each chain's own overlay takes on disk, by chain id."""

    async def check(
        self, needed: frozenset[str], templates: Sequence[Template], report: Report, *, repair: bool
    ) -> Sequence[Finding]:
        """Verify every chain's format, volume and backing.

        ``needed`` are the chain ids that containers name. A repair deletes what
        can be built again from its layers and no container needs.
        """


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
        """Hot-plug a NIC on an open file of a tap, which stays the caller's to close.

        ``nic_id`` is unique in the machine, and names the NIC when it is to be unplugged.
        Raises Conflict when no port is free, Unavailable in QEMU's words.
        """

    async def unplug_nic(self, nic_id: str) -> None:
        """Take a NIC out; returns when the guest has let go of it. Idempotent. Raises Unavailable."""

    async def move(self, run_dir: Path) -> None:
        """Make ``run_dir``, an empty folder beside its own, its run folder, by rename."""

    async def pause(self) -> None:
        """Halt its CPUs. Idempotent."""

    async def resume(self) -> None:
        """Let its CPUs go on. Idempotent."""

    async def quit(self) -> None:
        """End the machine now, without asking its guest. Returns when the process is gone. Idempotent."""

    async def console_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines that the guest's kernel and agent wrote to its console."""


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


class Machines(Protocol):
    """The machine driver. It evicts the least recently used checkpoints by itself."""

    async def accelerator(self) -> str:
        """``kvm`` or ``tcg``, found by running a guest once, cached."""

    async def version(self) -> str:
        """The hypervisor and its version, as ``QEMU 7.2.22``."""

    async def room(self, spec: MachineSpec) -> Room:
        """What memory a machine may come to use, its emulator included, and what this host has."""

    async def boot(self, spec: MachineSpec, tap: int | None) -> Machine:
        """Start a machine. Raises Unavailable with QEMU's own words when it does not start.

        ``tap`` is an open file, the caller's to close, of the tap behind the NIC of ``spec``, if it has
        one. There is no cable between them yet.
        """

    async def restore(self, spec: MachineSpec, tap: int | None) -> Machine | None:
        """Start a clone of the checkpoint of this description, as ``boot``; None where there is none.

        Raises Unavailable for a checkpoint that cannot be restored, which is deleted.
        """

    async def mold(self, spec: MachineSpec, tap: int | None) -> Mold:
        """Boot a machine that is to be frozen. ``tap`` is as for ``boot``."""

    async def has_checkpoint(self, spec: MachineSpec) -> bool:
        """Whether there is a checkpoint of this description."""

    async def discard_checkpoint(self, spec: MachineSpec, why: str) -> None:
        """Delete the checkpoint of this description. Idempotent."""

    async def checkpoints(self) -> list[Checkpoint]:
        """All that are kept, the most recently used first."""

    async def remove_checkpoint(self, reference: str) -> Checkpoint:
        """Delete a checkpoint by its key or a unique beginning of it. Raises NotFound."""

    async def adopt(self, spec: MachineSpec, pid: int) -> Machine | None:
        """Take over a machine that an earlier daemon started; None when it no longer runs.

        Of ``spec`` its id and run folder count (:meth:`MachineSpec.of_running`).
        """


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

    async def warm(self) -> None:
        """Start what every container needs, before the guest is frozen. At most once, before prepare."""

    async def rehearse(self, c_serial: str) -> None:
        """Have a restored guest do once what it will for its container, so that an emulator knows it.

        The disk of that serial number is mounted, read and unmounted.
        """

    async def prepare(self, preparation: Preparation) -> None:
        """Mount C:, load its registry, set name, clock and random numbers."""

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

    async def processes(self) -> Sequence[ProcessInfo]:
        """What runs in the guest, but for the guest's own plumbing. Raises Unavailable."""

    async def stats(self) -> Usage:
        """What the guest has taken since its boot. Raises Unavailable, for nonsense too."""

    async def shutdown(self, *, timeout: float) -> None:
        """End all processes, flush the registry, sync and unmount C:. The disk is clean afterwards."""

    def rest(self, value: bool) -> None:
        """Say that the guest's machine is halted and owes no sign of life, or that it goes on."""

    async def close(self) -> None:
        """End the session; the guest keeps running. Idempotent."""


class Guests(Protocol):
    """Connects to agents."""

    async def connect(self, machine: Machine | Mold, *, timeout: float) -> Guest:
        """Wait for the agent's hello.

        Raises Unavailable, quoting the last console lines, when the machine
        ends first or no hello arrives within ``timeout`` seconds.
        """


class Templates(Protocol):
    """Installed templates and the recipes to build them."""

    async def list(self) -> list[Template]:
        """Those that guests can boot from, by name."""

    async def unusable(self) -> Sequence[Unusable]:
        """Those that are installed and cannot be used, by name."""

    async def get(self, name: str) -> Template:
        """Raises NotFound, naming the templates at hand and the command that builds one.

        Raises Unavailable for one that cannot be used.
        """

    async def build(self, name: str, report: Report) -> Template:
        """Build and install a template from its recipe; a build of equal inputs is reused."""

    async def remove(self, name: str) -> None:
        """Delete an installed template."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """The rooms, each field named as the folder that implements it."""

    images: Images
    disks: Disks
    machine: Machines
    guest: Guests
    network: Networks
    templates: Templates
    state: State
