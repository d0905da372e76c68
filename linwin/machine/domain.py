"""What a machine consists of, as values, and the QEMU command line that says so.

Pure: nothing here touches the host, and the golden tests pin the result. The
topology is explicit (every device has an address of its own) because it is part
of what a checkpoint freezes: a clone must be given exactly the same one.

===========  ==================================================================
pcie.0 addr  device
===========  ==================================================================
0x01         VGA, where the machine has a screen
0x02         virtio-serial, port ``org.linwin.agent.0``
0x03         virtio-blk, the template's root disk, read-only
0x04         virtio-rng
0x05         virtio-blk, the disk that is C:, where the machine has one
0x06         USB, with keyboard and tablet, where the machine has a screen
0x10 …       ``spare_ports`` root ports, since pcie.0 itself refuses hot-plug;
             a NIC that is there from the start is in the first of them
===========  ==================================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from linwin.errors import InvalidRequest
from linwin.model.machine import C_SERIAL, FIRST_MAC, FIRST_NIC, MachineSpec
from linwin.model.network import USER_RESOLVER, USER_SUBNET, Attachment

Accelerator = Literal["kvm", "tcg"]

AGENT_PORT = "org.linwin.agent.0"
ROOT_SERIAL = "linwin-root"

C_NODE = "c"
SCREEN = "screen"
"""The id of the VGA, where a machine has one."""
_LONGEST_NIC_ID = 64
FIRST_PORT_ADDRESS = 0x10
MOST_PORTS = 0x1F - FIRST_PORT_ADDRESS  # 0x1f is the chipset's

# Under TCG, -cpu max crashes Wine's processes ("exited with irqs disabled"); Nehalem
# is the newest model that every supported QEMU emulates in full.
CPU_MODELS: dict[Accelerator, str] = {"kvm": "host", "tcg": "Nehalem"}
# Under TCG a second CPU gains a cold start five percent, and one guest in 75 died of it: its
# kernel patched code that the other CPU was running from an older translation.
DEFAULT_CPUS: dict[Accelerator, int] = {"kvm": 2, "tcg": 1}
# Translated code may grow to 1 GiB by default, which is more than most guests have RAM.
TCG_CACHE_MIB = 256
ACCELERATORS: dict[Accelerator, str] = {
    "kvm": "kvm",
    "tcg": f"tcg,thread=multi,tb-size={TCG_CACHE_MIB}",
}
# Of the VGA: enough for 2560 by 1600 pixels. What a VNC client is shown is a copy of it.
VIDEO_MIB = 16
_OVERHEAD_MIB: dict[Accelerator, int] = {"kvm": 64, "tcg": 64 + TCG_CACHE_MIB}

# An emulated CPU does not speculate, and keeping the kernel's pages from programs takes
# a TLB flush at each system call: a third of what a program's start costs. Code that is
# mapped at another address is translated anew: where all programs find their libraries at
# the same ones, half of that start again. Nobody reads pressure, and security modules have
# no policy. On a busy host an emulated timer can be late for the kernel's check of it at boot,
# which then panics; as under KVM, where the kernel itself knows better, it is not checked.
CMDLINES: dict[Accelerator, str] = {
    "kvm": "",
    "tcg": " mitigations=off norandmaps psi=0 lsm=capability no_timer_check",
}

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# RAM is not in the stream but in a file of its own; the end of a migration is an event.
MIGRATION = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]

# Nothing in a guest uses these, and each costs the kernel a probe at every boot.
_MACHINE = (
    "q35,memory-backend=ram,usb=off,sata=off,smbus=off,i8042=off,vmport=off,smm=off,dump-guest-core=off"
)


@dataclass(frozen=True, slots=True)
class Descriptors:
    """Open files that QEMU inherits, by number, so that it needs no path in the run folder.

    ``monitor`` and ``agent`` are listening unix sockets; ``console`` is a file
    open for appending; ``tap`` is that of the NIC which the machine starts with, if it does.
    ``typing`` is a listening unix socket too, of a console that takes input.
    """

    monitor: int
    agent: int
    console: int
    tap: int | None = None
    typing: int | None = None


@dataclass(frozen=True, slots=True)
class Ram:
    """A machine's RAM in an open file, as large as its memory.

    What is written to ``shared`` RAM is in the file, to be frozen; a clone's
    own writes stay in private pages, whatever the file allows.
    """

    file: int
    shared: bool


@dataclass(frozen=True, slots=True)
class Domain:
    """One machine, complete. ``memory`` is in MiB; a ``clone`` waits for the state it goes on from."""

    name: str
    accelerator: Accelerator
    cpu_model: str
    cpus: int
    memory: int
    kernel: Path
    initrd: Path
    cmdline: str
    root_disk: Path
    c_disk: Path | None
    spare_ports: int
    descriptors: Descriptors
    ram: Ram | None = None
    clone: bool = False
    screen: bool = False

    @property
    def footprint(self) -> int:
        """MiB of host memory that the machine can come to use."""
        return footprint(self.memory, self.accelerator, screen=self.screen)


def footprint(memory: int, accelerator: Accelerator, *, screen: bool) -> int:
    """MiB of host memory that a machine of ``memory`` MiB can come to use."""
    return memory + _OVERHEAD_MIB[accelerator] + (2 * VIDEO_MIB if screen else 0)


def machine_name(spec: MachineSpec) -> str:
    """What the machine is called in QEMU, its command line and its threads' names."""
    return f"linwin-{spec.id[:12]}"


def name_argument(name: str) -> str:
    """The value of ``-name``, by which a machine is told from other processes."""
    return f"guest={_escape(name)},debug-threads=on"


def arguments(domain: Domain) -> list[str]:
    """QEMU's arguments for a domain, without the program itself."""
    return [
        *("-name", name_argument(domain.name)),
        *("-machine", _MACHINE),
        *("-accel", ACCELERATORS[domain.accelerator]),
        *("-cpu", domain.cpu_model),
        *("-smp", str(domain.cpus)),
        *("-m", f"{domain.memory}M"),
        *("-object", json.dumps(_memory(domain.memory, domain.ram))),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-sandbox", SANDBOX),
        *("-kernel", str(domain.kernel)),
        *("-initrd", str(domain.initrd)),
        *("-append", domain.cmdline),
        *characters(domain.descriptors),
        *_devices(domain),
        *(("-incoming", "defer") if domain.clone else ()),
    ]


def port_name(index: int) -> str:
    """The id of a hot-plug port."""
    return f"port{index}"


def c_node(medium: dict[str, Any] | str) -> dict[str, Any]:
    """The node that C:'s device reads and writes, over its medium: the name of a node, or a new one.

    It does nothing but stay when the medium is exchanged.
    """
    return {"driver": "raw", "node-name": C_NODE, "discard": "unmap", "file": medium}


def medium_node(image: Path) -> dict[str, Any]:
    """A writable qcow2, without the name that ``blockdev-add`` wants.

    The page cache is used, since all guests of a chain read the same backing
    files; flushes go to the disk, since a guest's sync has to mean something:
    with ``no-flush`` a killed QEMU lost even synced writes.
    """
    return {
        "driver": "qcow2",
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "file": {
            "driver": "file",
            "filename": str(image),
            "discard": "unmap",
            "cache": {"direct": False, "no-flush": False},
        },
    }


def nic_backend(nic_id: str) -> dict[str, Any]:
    """Arguments of ``netdev_add`` for a NIC whose tap QEMU was given under the name ``fd``.

    No vhost: it would take a file of the host's kernel, for guests that are mostly idle.
    """
    backend, _ = nic_names(nic_id)
    return {"type": "tap", "id": backend, "fd": f"{backend}-tap", "vhost": False}


def user_backend(nic_id: str, attachment: Attachment) -> dict[str, Any]:
    """Arguments of ``netdev_add`` for a network that QEMU itself is, with the attachment's ports.

    A port of the host leads to the container by ``hostfwd``, whose form is that of the command line.
    """
    backend, _ = nic_names(nic_id)
    forwards = [
        f"{port.protocol}:{port.host_ip}:{port.host_port}-{attachment.ipv4}:{port.container_port}"
        for port in attachment.ports
    ]
    return {
        "type": "user",
        "id": backend,
        "net": USER_SUBNET.subnet,
        "host": USER_SUBNET.gateway,
        "dns": USER_RESOLVER,
        "ipv6": False,
        "hostfwd": [{"str": forward} for forward in forwards],
    }


def nic_device(nic_id: str, mac: str, port: str) -> dict[str, Any]:
    """Arguments of ``device_add`` for a NIC.

    It boots nobody, so it has no ROM to do so. A guest that goes on elsewhere tells its neighbours
    once it knows its own address, and not because QEMU wants it to.
    """
    backend, device = nic_names(nic_id)
    return {
        "driver": "virtio-net-pci",
        "id": device,
        "bus": port,
        "netdev": backend,
        "mac": mac,
        "romfile": "",
        "guest_announce": False,
    }


def nic_names(nic_id: str) -> tuple[str, str]:
    """The names in QEMU of a NIC's backend and of its device. Raises InvalidRequest for an unusable id."""
    if not nic_id.replace("-", "").isalnum() or not nic_id.isascii() or len(nic_id) > _LONGEST_NIC_ID:
        raise InvalidRequest(
            f"{nic_id!r} is no id of a NIC: 1 to {_LONGEST_NIC_ID} letters, digits and dashes are"
        )
    return f"net-{nic_id}", f"nic-{nic_id}"


def characters(descriptors: Descriptors) -> list[str]:
    """The monitor, the agent's port and the serial console."""
    console = "file,id=console,path=/dev/fdset/1,append=on"
    if descriptors.typing is not None:
        listening = f"socket,id=console,fd={descriptors.typing},server=on,wait=off"
        console = f"{listening},logfile=/dev/fdset/1,logappend=on"
    return [
        *("-chardev", f"socket,id=monitor,fd={descriptors.monitor},server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"socket,id=agent,fd={descriptors.agent},server=on,wait=off"),
        *("-add-fd", f"fd={descriptors.console},set=1,opaque=console"),
        *("-chardev", console),
        *("-serial", "chardev:console"),
    ]


def _devices(domain: Domain) -> list[str]:
    return [
        *device("virtio-serial-pci", id="serial", max_ports=2, **_at(0x02)),
        *device("virtserialport", bus="serial.0", nr=1, chardev="agent", name=AGENT_PORT),
        *("-blockdev", json.dumps(_root_node(domain.root_disk))),
        *device("virtio-blk-pci", drive="root", serial=ROOT_SERIAL, **_at(0x03)),
        *("-object", json.dumps({"qom-type": "rng-builtin", "id": "entropy"})),
        *device("virtio-rng-pci", rng="entropy", **_at(0x04)),
        *(() if domain.c_disk is None else _c_disk(domain.c_disk)),
        *(_screen() if domain.screen else ()),
        *device("vmgenid", guid="auto"),
        *(word for index in range(domain.spare_ports) for word in root_port(index)),
        *(() if domain.descriptors.tap is None else _first_nic(domain.descriptors.tap)),
    ]


def _memory(mebibytes: int, ram: Ram | None) -> dict[str, Any]:
    # The id becomes the name of the RAM block, by which a checkpoint's own backend is matched.
    block = {"id": "ram", "size": mebibytes << 20}
    if ram is None:
        return {"qom-type": "memory-backend-ram", **block}
    path = f"/proc/self/fd/{ram.file}"
    return {"qom-type": "memory-backend-file", **block, "mem-path": path, "share": ram.shared}


def _root_node(image: Path) -> dict[str, Any]:
    return {
        "driver": "file",
        "node-name": "root",
        "filename": str(image),
        "read-only": True,
        "cache": {"direct": False, "no-flush": False},
    }


def _c_disk(image: Path) -> list[str]:
    # A failing host disk is reported to the guest: the default for a full one is to pause
    # the machine, and nobody would come to wake it.
    disk = device(
        "virtio-blk-pci", drive=C_NODE, serial=C_SERIAL, werror="report", rerror="report", **_at(0x05)
    )
    return ["-blockdev", json.dumps(c_node(medium_node(image))), *disk]


def _screen() -> list[str]:
    """A screen, and what its user types and points with.

    Nobody can connect to it by himself: the monitor hands the VNC server connected sockets. The tablet
    has absolute places, without which a viewer's pointer and the guest's drift apart.
    """
    return [
        *("-vnc", "none"),
        *device("VGA", id=SCREEN, vgamem_mb=VIDEO_MIB, bus="pcie.0", addr="0x1"),
        *device("qemu-xhci", id="usb", bus="pcie.0", addr="0x6"),
        *device("usb-kbd", bus="usb.0"),
        *device("usb-tablet", bus="usb.0"),
    ]


def root_port(index: int) -> tuple[str, str]:
    """A port for a NIC that is plugged in."""
    # What is plugged is virtio 1.0 and uses no I/O ports, of which there are too few to reserve.
    address = hex(FIRST_PORT_ADDRESS + index)
    properties = {"id": port_name(index), "bus": "pcie.0", "addr": address, "io-reserve": 0}
    return device("pcie-root-port", chassis=index + 1, **properties)


def _first_nic(tap: int) -> list[str]:
    backend, _ = nic_names(FIRST_NIC)
    device = json.dumps(nic_device(FIRST_NIC, FIRST_MAC, port_name(0)))
    return ["-netdev", f"tap,id={backend},fd={tap},vhost=off", "-device", device]


def _at(address: int) -> dict[str, Any]:
    return {"bus": "pcie.0", "addr": hex(address), "disable-legacy": "on"}


def device(driver: str, **properties: Any) -> tuple[str, str]:
    """A device in QEMU's JSON form, in which no value needs escaping."""
    return "-device", json.dumps({"driver": driver, **properties})


def _escape(value: str) -> str:
    """A value in QEMU's ``key=value,…`` form."""
    return value.replace(",", ",,")
