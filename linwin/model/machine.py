"""Descriptions of virtual machines, free of any hypervisor's syntax."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

C_SERIAL = "linwin-c"
"""The serial number of the disk that is C:, by which a guest knows it."""
SPARE_PORTS = 4
"""The NICs that a guest can have."""
FIRST_NIC = "first"
"""What the NIC is called that a machine has from its start."""
FIRST_MAC = "02:42:00:00:00:01"
"""Its address until the guest is told the container's, which all clones of a checkpoint begin with."""


Bus = Literal["virtio-blk", "virtio-scsi", "sata"]
"""How a guest sees the disk that it is started from; Windows has a driver of its own for sata alone."""


@dataclass(frozen=True, slots=True)
class LinuxBoot:
    """A kernel of ours is started, with ``root_disk``, a read-only image, as its first disk."""

    kernel: Path
    initrd: Path
    cmdline: str
    root_disk: Path


@dataclass(frozen=True, slots=True)
class FirmwareBoot:
    """Firmware (UEFI) starts what it finds on the disk that is C:, or else on one of ``discs``.

    Which firmware is the driver's to find. ``variables`` is where it keeps what it is to remember, a
    file of this machine's own: the driver makes it where there is none, and whoever made the folder
    deletes it. ``discs`` are images of CDs for an installer, readable by the machine's user. With
    ``reboots`` the guest may start itself anew, as Windows does while it sets itself up; else that is
    its end.
    """

    variables: Path
    bus: Bus = "virtio-blk"
    discs: tuple[Path, ...] = ()
    reboots: bool = True


Boot = LinuxBoot | FirmwareBoot


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A guest to boot.

    ``memory`` is in MiB; ``cpus`` 0 lets the driver choose what suits the host.
    ``run_dir`` is an existing folder of this machine's own; its sockets, console
    log and pid file live there under the names in :mod:`linwin.paths`. ``uid`` is
    the host user QEMU runs as (0: the daemon's own).
    ``spare_ports`` is the number of hot-plug ports. One with a ``nic`` has ``FIRST_NIC`` in
    the first of them from its start. ``template`` is the digest
    of what boots, by which a checkpoint of it is known. ``c_disk`` is a qcow2, which the
    machine writes; every one of a template has the same size. None is a machine without.
    ``title`` is what tools of the host call it, where they show such a thing.
    One with a ``screen`` is made to sit at: it has keyboard and pointer too, and a serial
    console that takes input. One that firmware starts has a screen and C:.
    """

    id: str
    boot: Boot
    memory: int
    cpus: int
    run_dir: Path
    uid: int = 0
    spare_ports: int = SPARE_PORTS
    nic: bool = False
    template: str = ""
    c_disk: Path | None = None
    screen: bool = False
    title: str = ""

    @classmethod
    def of_running(cls, id: str, run_dir: Path) -> MachineSpec:
        """Of a machine to be adopted: what it was started from no longer matters, and may be gone."""
        nothing = Path()
        return cls(id, LinuxBoot(nothing, nothing, "", nothing), memory=0, cpus=0, run_dir=run_dir)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the machines of a driver can that not all can.

    With ``first_nic`` they take a tap at their start, before it is known whose it will be. With
    ``disk_exchange`` a guest that waits can be given a container's disk.
    """

    first_nic: bool = True
    disk_exchange: bool = True


@dataclass(frozen=True, slots=True)
class Room:
    """MiB that a machine may come to use, that are available for it now, and that there are at all."""

    needed: int
    available: int
    total: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A booted guest, frozen before anything of a container was in it.

    ``key`` names everything that a clone must have in common with it.
    ``template`` is a digest, ``memory`` is in MiB, ``size`` in bytes on disk;
    times are nanoseconds since the epoch.
    """

    key: str
    template: str
    memory: int
    cpus: int
    accelerator: str
    size: int
    created_at: int
    used_at: int


@dataclass(frozen=True, slots=True)
class MachineExit:
    """How a machine's process ended; ``code`` is negative for a signal, None when it was not our child."""

    code: int | None
    console: tuple[str, ...] = ()

    @property
    def how(self) -> str:
        """As ``with code 1`` or ``by signal 9``; empty where nobody was told."""
        if self.code is None:
            return ""
        return f"by signal {-self.code}" if self.code < 0 else f"with code {self.code}"
