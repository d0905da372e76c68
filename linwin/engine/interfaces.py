"""The rooms as the engine sees them.

Each Protocol is implemented by the room of the same name, a fake of it serves
the scenario tests, and :mod:`linwin.daemon` injects one of the two as
:class:`Rooms`. All methods that do I/O are coroutines; work that is heavy on
CPU or system calls happens in worker processes behind them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from linwin.engine.guest_interface import Files as Files
from linwin.engine.guest_interface import FilesAtRest as FilesAtRest
from linwin.engine.guest_interface import Guest as Guest
from linwin.engine.guest_interface import Guests as Guests
from linwin.engine.guest_interface import Line as Line
from linwin.engine.guest_interface import Machine as Machine
from linwin.engine.guest_interface import Mold as Mold
from linwin.engine.guest_interface import Process as Process
from linwin.engine.network_interface import Networks as Networks
from linwin.engine.share_interface import Shares
from linwin.engine.source_interface import Source as Source
from linwin.engine.source_interface import Sources
from linwin.engine.state_interface import ContainerLog as ContainerLog
from linwin.engine.state_interface import State as State
from linwin.model.files import Change
from linwin.model.image import Image, ImageDraft, Layer, Removed
from linwin.model.installation import Installation
from linwin.model.layer import WrittenLayer
from linwin.model.machine import Abilities, Checkpoint, MachineSpec, Room
from linwin.model.progress import Report
from linwin.model.registry import Credentials, Distribution, Pushed, SearchResult
from linwin.model.template import Media, Template, Unusable
from linwin.model.upkeep import Finding


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

    async def compose(
        self, parent: Image, draft: ImageDraft, layer: Path | Layer | None, references: Sequence[str]
    ) -> StagedImage:
        """Stage an image made here: ``parent``'s layers, and ``layer`` above them if there is one.

        A layer is a plain tar, which is copied, or another image's. ``references`` are to name the
        image. Raises InvalidRequest for one that cannot be a reference, Unavailable for a full disk.
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

    async def remove(
        self, reference: str, *, force: bool, in_use: frozenset[str], leave_children: bool = False
    ) -> Sequence[Removed]:
        """Untag, and delete the image when its last reference went, with those that it alone was made from.

        One that others were made from is deleted only with ``leave_children``; Conflict says so.

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


class Disks(Protocol):
    """Chains of qcow2 overlays whose volume is NTFS."""

    async def chain(self, template: Template, layers: Sequence[Layer], report: Report) -> tuple[str, Path]:
        """Build what is missing of a chain; return its chain id and its end.

        Raises InvalidRequest for a layer that cannot be applied (naming layer
        and entry), Unavailable for a full disk. Nothing is left behind when it raises.
        """

    async def overlay(self, chain_end: Path, path: Path, *, uid: int) -> None:
        """Create a container's own overlay at ``path``, owned by ``uid``."""

    def files(self, overlay: Path) -> FilesAtRest:
        """The files on a container's disk, or at a chain's end, where nothing is written.

        ``write`` does all of it or nothing.
        """

    async def plain_copy(self, archive: Path, output: Path, overlay: Path) -> None:
        """Check an archive that is to be unpacked on the C: of ``overlay``; write what a guest can unpack.

        Raises InvalidRequest, as ``Files.write`` does, and Unsupported.
        """

    async def changes(self, overlay: Path) -> Sequence[Change]:
        """What differs between the C: of a container at rest and its image's, by path.

        Folders above what differs are among it, as modified; what was in a deleted folder is not.
        """

    async def layer(
        self, overlay: Path, output: Path, *, kind: str, latest: int | None = None
    ) -> WrittenLayer:
        """Write what the C: of a container at rest has that its image has not, as a Windows layer.

        ``kind`` is the template's. ``output`` becomes a plain tar; the same changes give the same
        bytes. No time in it is later than ``latest``, in nanoseconds since 1970, where that is given.
        What Windows itself writes and no image wants (page file, logs, caches) is left out.
        """

    async def copy(self, overlay: Path, target: Path) -> None:
        """Copy a container's overlay, which nobody writes to meanwhile, to a file in the same folder."""

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


class Machines(Protocol):
    """The machine driver. It evicts the least recently used checkpoints by itself."""

    @property
    def abilities(self) -> Abilities: ...

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

    async def agent(self, system: Literal["linux", "windows"]) -> Path:
        """The program that is the agent of the templates which are made now, built for a system.

        Raises Unavailable where this linwin comes without.
        """

    async def build(
        self,
        name: str,
        report: Report,
        media: Media,
        install: Callable[[Installation], Awaitable[None]],
    ) -> Template:
        """Build and install a template from its recipe; a build of equal inputs is reused.

        ``install`` is called where the template's disk is to be written by an installer in a machine: it
        returns when that has switched itself off, and raises LinwinError when it does not come to that.

        Raises InvalidRequest when ``media`` is not what the recipe needs.
        """

    async def import_disk(self, name: str, report: Report, disk: Path, virtio: Path | None) -> Template:
        """Install a template that is made of a user's disk, which is only read, under a name of the user's.

        ``virtio`` is the ISO with drivers for it. Raises Conflict for a name that is taken.
        """

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
    shares: Shares
    sources: Sources
    templates: Templates
    state: State
