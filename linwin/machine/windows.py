"""What the machine of a Windows guest consists of, as values, and the QEMU command line that says so.

Pure, as :mod:`linwin.machine.domain`, whose machines start a kernel of ours: this one is started by
firmware from its only disk, and by nobody in linwin yet. Firmware finds this disk by looking at all, so
its variables may be empty; they are the guest's own, since Windows writes them.

===========  ==================================================================
pcie.0 addr  device
===========  ==================================================================
0x01         VGA
0x02         virtio-serial, port ``org.linwin.agent.0``
0x04         virtio-rng
0x05         the disk, or its SCSI controller
0x06         USB, with keyboard and tablet
0x10 …       ``spare_ports`` root ports for NICs
===========  ==================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from linwin.machine.domain import (
    AGENT_PORT,
    C_NODE,
    SANDBOX,
    SCREEN,
    Accelerator,
    Descriptors,
    c_node,
    characters,
    device,
    medium_node,
    name_argument,
    root_port,
)
from linwin.model.machine import C_SERIAL

Bus = Literal["virtio-blk", "virtio-scsi", "sata"]
"""How the guest sees its disk; sata is the one for which Windows itself has a driver."""

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
_SPIN_RETRIES = "=0xfff"


@dataclass(frozen=True, slots=True)
class WindowsDomain:
    """One machine. ``memory`` is in MiB.

    ``firmware`` is OVMF's code, ``variables`` the guest's own copy of its variables, ``disk`` a qcow2 that it
    writes. ``generation`` tells Windows that it is another machine than the one it was frozen in.
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


def arguments(domain: WindowsDomain) -> list[str]:
    """QEMU's arguments for a domain, without the program itself.

    Unlike other guests it may restart by itself: Windows does so while it sets itself up.
    """
    return [
        *("-name", name_argument(domain.name)),
        *("-machine", _machine()),
        *("-accel", domain.accelerator),
        *("-cpu", _cpu(domain.accelerator)),
        *("-smp", str(domain.cpus)),
        *("-m", f"{domain.memory}M"),
        *(
            "-object",
            json.dumps({"qom-type": "memory-backend-ram", "id": "ram", "size": domain.memory << 20}),
        ),
        *("-nodefaults", "-no-user-config", "-display", "none", "-vnc", "none"),
        *("-sandbox", SANDBOX),
        # The guest's time zone is UTC, and a tick that came too late is made up for slowly.
        *("-rtc", "base=utc,driftfix=slew"),
        *(("-global", "kvm-pit.lost_tick_policy=delay") if domain.accelerator == "kvm" else ()),
        *("-blockdev", json.dumps(_flash("firmware", domain.firmware, read_only=True))),
        *("-blockdev", json.dumps(_flash("variables", domain.variables, read_only=False))),
        *characters(domain.descriptors),
        *_devices(domain),
    ]


def _machine() -> str:
    flash = "pflash0=firmware,pflash1=variables"
    return f"q35,memory-backend=ram,usb=off,smbus=off,vmport=off,hpet=off,dump-guest-core=off,{flash}"


def _cpu(accelerator: Accelerator) -> str:
    if accelerator == "tcg":  # where Hyper-V's interfaces are not emulated
        return "Nehalem"
    told = (f"hv-{name}{_SPIN_RETRIES if name == 'spinlocks' else ''}" for name in ENLIGHTENMENTS)
    return ",".join(("host", *told))


def _flash(name: str, image: Path, *, read_only: bool) -> dict[str, Any]:
    return {"driver": "raw", "node-name": name, "read-only": read_only,
            "file": {"driver": "file", "filename": str(image), "read-only": read_only}}  # fmt: skip


def _devices(domain: WindowsDomain) -> list[str]:
    return [
        *device("VGA", id=SCREEN, **_at(0x01)),
        *device("virtio-serial-pci", id="serial", max_ports=2, **_at(0x02)),
        *device("virtserialport", bus="serial.0", nr=1, chardev="agent", name=AGENT_PORT),
        *("-object", json.dumps({"qom-type": "rng-builtin", "id": "entropy"})),
        *device("virtio-rng-pci", rng="entropy", **_at(0x04)),
        *("-blockdev", json.dumps(c_node(medium_node(domain.disk)))),
        *_disk(domain.bus),
        *device("qemu-xhci", id="usb", **_at(0x06)),
        *device("usb-kbd", bus="usb.0"),
        *device("usb-tablet", bus="usb.0"),
        *device("vmgenid", guid=str(domain.generation)),
        *(word for index in range(domain.spare_ports) for word in root_port(index)),
    ]


def _disk(bus: Bus) -> list[str]:
    disk: dict[str, Any] = {"drive": C_NODE, "serial": C_SERIAL, "werror": "report", "rerror": "report"}
    match bus:
        case "virtio-blk":
            return [*device("virtio-blk-pci", **disk, **_at(0x05))]
        case "virtio-scsi":
            controller = device("virtio-scsi-pci", id="scsi", **_at(0x05))
            return [*controller, *device("scsi-hd", bus="scsi.0", **disk)]
        case "sata":
            return [*device("ide-hd", bus="ide.0", **disk)]


def _at(address: int) -> dict[str, str]:
    return {"bus": "pcie.0", "addr": hex(address)}
