"""Templates: the bootable guests that stand in for base layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One base image that a template provides.

    ``references`` are canonical; ``os_version`` is ``10.0.BUILD.UBR``;
    ``user`` is the default user of its containers.
    """

    references: tuple[str, ...]
    os_version: str
    user: str = ""
    diff_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unserved:
    """A product that images are made for and that a template's guests cannot run.

    ``sentence`` is for users, without a capital it does not own and without a full stop. An image
    is recognised by one of ``references`` (patterns of a repository's canonical name), ``variables``
    (names in its environment), ``labels`` (pairs) or ``commands``: a program as in ``left_out``, and
    words that its arguments hold. A command of these is not started.
    """

    name: str
    sentence: str
    references: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Media:
    """What a user adds to a recipe that cannot bring it: images of discs, files of the daemon's host.

    ``virtio`` has the drivers; ``index`` is that of Windows' image, 0 for the recipe's own. Setup is given a
    ``product_key`` where there is one.
    """

    iso: Path | None = None
    virtio: Path | None = None
    index: int = 0
    product_key: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """Where an imported disk came from, and what the registry on it says of its Windows.

    ``source`` is the file's name and ``format`` what it was in. ``product``, ``edition`` and ``installation``
    are Windows' own words. ``generalized`` tells one whose setup goes on at each first start.
    ``evaluation_ends`` is a day, empty where there is none to tell. ``drivers`` are pairs of names and
    versions; of these ``added`` came with the import. ``agent`` is the digest of the agent's program.
    """

    source: str
    format: str
    product: str
    edition: str
    installation: str
    generalized: bool
    evaluation_ends: str
    drivers: tuple[tuple[str, str], ...]
    added: tuple[str, ...]
    agent: str


@dataclass(frozen=True, slots=True)
class Template:
    """One built template, ready to boot.

    ``digest`` is ``sha256:…`` over the content of its parts; it is the chain id
    that every chain on this template starts from. ``c_disk`` is the immutable
    qcow2 whose volume is C:. ``minimum_memory`` is in MiB. ``serves_any_build``
    is true for kinds (wine) that run images of every Windows build.
    ``left_out`` maps the names of programs that the template lacks on purpose,
    lower-case without ``.exe``, to the sentence a user should read. ``unserved`` are
    products whose images it can hold and not run. A kind that boots from C: has no other parts:
    the paths of kernel, initrd and root disk are empty, and ``c_disk`` is the whole disk, on which C:
    begins at ``c_start``, in bytes. ``imported`` tells where a disk came from that was not made here.
    """

    name: str
    kind: str
    digest: str
    kernel: Path
    initrd: Path
    cmdline: str
    root_disk: Path
    c_disk: Path
    minimum_memory: int
    serves_any_build: bool
    provides: tuple[BaseImage, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    unserved: tuple[Unserved, ...] = ()
    summary: str = ""
    size: int = 0
    created: str = "1970-01-01T00:00:00Z"
    c_start: int = 0
    imported: Imported | None = None

    @property
    def boots_before_c(self) -> bool:
        """Whether its guests start without C:, so that one checkpoint serves every container."""
        return self.kind == "wine"

    @property
    def has_screen(self) -> bool:
        """Whether its guests have a screen to look at; others have a text console only."""
        return self.kind == "windows"


@dataclass(frozen=True, slots=True)
class Unusable:
    """An installed template that no guest can boot from, and why: it is damaged, or another linwin's.

    ``imported`` tells one that no recipe makes.
    """

    name: str
    reason: str
    imported: bool = False

    @property
    def remedy(self) -> str:
        if self.imported:
            return f"remove it, and import its disk again: linwin template rm {self.name}"
        return f"build it again: linwin template build {self.name}"
