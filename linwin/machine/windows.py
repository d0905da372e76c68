"""What the machine of a Windows guest consists of, as values, and the QEMU command line that says so.

Pure, as :mod:`linwin.machine.domain`, whose machines start a kernel of ours: this one is started by
firmware from its disk, or from a disc where the disk holds nothing to start. Firmware is told in which
order to look, so its variables may be empty; they are the guest's own, since Windows writes them.

===========  ==================================================================
pcie.0 addr  device
===========  ==================================================================
0x01         VGA
0x02         virtio-serial, port ``org.linwin.agent.0``
0x04         virtio-rng
0x05         the disk, or its SCSI controller
0x06         USB, with keyboard and tablet
0x10 …       ``spare_ports`` root ports for NICs
0x1f         the chipset, with the SATA controller of the disk and the discs
===========  ==================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from linwin.errors import InvalidRequest
from linwin.machine.domain import (
    ACCELERATORS,
    AGENT_PORT,
    C_NODE,
    CPU_MODELS,
    SANDBOX,
    SCREEN,
    VIDEO_MIB,
    Accelerator,
    Descriptors,
    c_node,
    characters,
    device,
    footprint,
    medium_node,
    name_argument,
    root_port,
)
from linwin.model.machine import C_SERIAL, Bus

MOST_DISCS = 5
"""The chipset's SATA controller has six ports, of which the disk may need one."""

ENLIGHTENMENTS: dict[str, tuple[str, ...]] = {
    "relaxed": (),
    "vapic": (),
    "spinlocks": (),
    "vpindex": (),
    "runtime": (),
    "time": (),
    "synic": ("vpindex",),
    "stimer": ("vpindex", "synic", "time"),
    "stimer-direct": ("stimer",),
    "tlbflush": ("vpindex",),
    "ipi": ("vpindex",),
    "frequencies": (),
}
"""What Windows is told of Hyper-V, and what each needs (QEMU's docs/system/i386/hyperv.rst).

Those that a guest could not be frozen with are not among them: passthrough, and a TSC that is
promised to be invariant.
"""
SPIN_RETRIES = 0xFFF


@dataclass(frozen=True, slots=True)
class WindowsDomain:
    """One machine. ``memory`` is in MiB.

    ``firmware`` is OVMF's code, ``variables`` the guest's own copy of its variables, ``disk`` a qcow2 that it
    writes, ``discs`` are images of CDs. ``generation`` is another where Windows is to know that its disk
    is a copy (Microsoft's "Virtual Machine Generation ID"). Unless it ``reboots``, a restart ends it.
    """

    name: str
    accelerator: Accelerator
    cpus: int
    memory: int
    firmware: Path
    variables: Path
    disk: Path
    bus: Bus
    generation: UUID
    spare_ports: int
    descriptors: Descriptors
    discs: tuple[Path, ...] = ()
    reboots: bool = True

    @property
    def footprint(self) -> int:
        """MiB of host memory that the machine can come to use."""
        return footprint(self.memory, self.accelerator, screen=True)


def arguments(domain: WindowsDomain) -> list[str]:
    """QEMU's arguments for a domain, without the program itself.

    Raises InvalidRequest for more discs than it has drives for.
    """
    return [
        *("-name", name_argument(domain.name)),
        *("-machine", _machine()),
        *("-accel", ACCELERATORS[domain.accelerator]),
        *("-cpu", _cpu(domain.accelerator)),
        *("-smp", str(domain.cpus)),
        *("-m", f"{domain.memory}M"),
        *(
            "-object",
            json.dumps({"qom-type": "memory-backend-ram", "id": "ram", "size": domain.memory << 20}),
        ),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vnc", "none"),
        *(() if domain.reboots else ("-no-reboot",)),
        *("-sandbox", SANDBOX),
        # The guest's time zone is UTC, and a tick that came too late is made up for slowly.
        *("-rtc", "base=utc,driftfix=slew"),
        *(("-global", "kvm-pit.lost_tick_policy=delay") if domain.accelerator == "kvm" else ()),
        *("-blockdev", json.dumps(_flash("firmware", domain.firmware, read_only=True))),
        *("-blockdev", json.dumps(_flash("variables", domain.variables, read_only=False))),
        *characters(domain.descriptors),
        *_devices(domain),
    ]


def checked(discs: tuple[Path, ...]) -> tuple[Path, ...]:
    """Discs, each of which has a drive. Raises InvalidRequest."""
    if len(discs) > MOST_DISCS:
        raise InvalidRequest(f"a machine has drives for {MOST_DISCS} discs, not {len(discs)}")
    return discs


def _machine() -> str:
    flash = "pflash0=firmware,pflash1=variables"
    return f"q35,memory-backend=ram,usb=off,smbus=off,vmport=off,hpet=off,dump-guest-core=off,{flash}"


def _cpu(accelerator: Accelerator) -> str:
    if accelerator == "tcg":  # where Hyper-V's interfaces are not emulated
        return CPU_MODELS[accelerator]
    told = (f"hv-{name}{f'={SPIN_RETRIES:#x}' if name == 'spinlocks' else ''}" for name in ENLIGHTENMENTS)
    return ",".join((CPU_MODELS[accelerator], *told))


def _flash(name: str, image: Path, *, read_only: bool) -> dict[str, Any]:
    return {"driver": "raw", "node-name": name, "read-only": read_only,
            "file": {"driver": "file", "filename": str(image), "read-only": read_only}}  # fmt: skip


def _devices(domain: WindowsDomain) -> list[str]:
    return [
        *device("VGA", id=SCREEN, vgamem_mb=VIDEO_MIB, **_at(0x01)),
        *device("virtio-serial-pci", id="serial", max_ports=2, **_at(0x02)),
        *device("virtserialport", bus="serial.0", nr=1, chardev="agent", name=AGENT_PORT),
        *("-object", json.dumps({"qom-type": "rng-builtin", "id": "entropy"})),
        *device("virtio-rng-pci", rng="entropy", **_at(0x04)),
        *("-blockdev", json.dumps(c_node(medium_node(domain.disk)))),
        *_disk(domain.bus),
        *(word for index, image in enumerate(checked(domain.discs)) for word in _disc(index + 1, image)),
        *device("qemu-xhci", id="usb", **_at(0x06)),
        *device("usb-kbd", bus="usb.0"),
        *device("usb-tablet", bus="usb.0"),
        *device("vmgenid", guid=str(domain.generation)),
        *(word for index in range(domain.spare_ports) for word in root_port(index)),
    ]


def _disk(bus: Bus) -> list[str]:
    disk: dict[str, Any] = {"drive": C_NODE, "serial": C_SERIAL, "werror": "report", "rerror": "report"}
    disk["bootindex"] = 1
    match bus:
        case "virtio-blk":
            return [*device("virtio-blk-pci", **disk, **_at(0x05))]
        case "virtio-scsi":
            controller = device("virtio-scsi-pci", id="scsi", **_at(0x05))
            return [*controller, *device("scsi-hd", bus="scsi.0", **disk)]
        case "sata":
            return [*device("ide-hd", bus="ide.0", **disk)]


def _disc(number: int, image: Path) -> list[str]:
    """A CD in a drive of its own, looked at by firmware after the disk and the discs before it."""
    name = f"disc{number}"
    node = {"driver": "raw", "node-name": name, "read-only": True,
            "file": {"driver": "file", "filename": str(image), "read-only": True}}  # fmt: skip
    drive = device("ide-cd", bus=f"ide.{number}", drive=name, bootindex=number + 1)
    return ["-blockdev", json.dumps(node), *drive]


def _at(address: int) -> dict[str, str]:
    return {"bus": "pcie.0", "addr": hex(address)}
