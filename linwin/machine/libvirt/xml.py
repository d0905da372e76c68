"""What a machine consists of, as libvirt says it, and what libvirt's answers say of one.

Pure, as :mod:`linwin.machine.domain`, whose devices and addresses these are; the golden tests pin
the result. Where QEMU's words have no like in libvirt's, the machine has what libvirt gives it: an
i8042, an empty SATA controller.

A machine has no NIC from its start: libvirt opens taps by name, and a tap whose name is not known yet
is open in the daemon (:class:`linwin.model.machine.Abilities`).
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5
from xml.etree.ElementTree import Element, SubElement

from linwin.machine.describe import AnyDomain
from linwin.machine.domain import (
    AGENT_PORT,
    CPU_MODELS,
    FIRST_PORT_ADDRESS,
    ROOT_SERIAL,
    TCG_CACHE_MIB,
    VIDEO_MIB,
    Domain,
)
from linwin.machine.domain import nic_names as nic_names
from linwin.machine.windows import ENLIGHTENMENTS, SPIN_RETRIES, WindowsDomain, checked
from linwin.model.machine import C_SERIAL
from linwin.model.network import USER_SUBNET, Attachment

NAMESPACE = "urn:linwin:machine:1"
"""Of what linwin notes in a domain's metadata."""

_UUIDS = UUID("5f0ae6e6-55b7-4d2c-8e2b-2a5f3c1d9b10")
_MODERN = "virtio-non-transitional"
_PCI_TYPE = "pci"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the emulator runs as on the host."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Identity:
    """Which of a host's domains one is. ``root`` is the LINWIN_ROOT it belongs to, ``tag`` its short name."""

    id: str
    root: Path
    tag: str

    @property
    def uuid(self) -> UUID:
        """The same for each start of a container, so that the next daemon finds what this one started."""
        return uuid5(_UUIDS, f"{self.tag}/{self.id}")

    @property
    def name(self) -> str:
        return f"linwin-{self.tag}-{self.id[:12]}"


def domain_xml(
    domain: AnyDomain, identity: Identity, *, title: str, console_log: Path, owner: Owner | None
) -> str:
    """A domain for ``virDomainCreateXML``. ``owner`` is None where the host user is libvirtd's to choose.

    Raises InvalidRequest for one with more discs than it has drives for.
    """
    root = Element("domain", type="kvm" if domain.accelerator == "kvm" else "qemu")
    _text(root, "name", identity.name)
    _text(root, "uuid", str(identity.uuid))
    # Without a value libvirt makes one up, another at each start.
    _text(root, "genid", str(domain.generation) if isinstance(domain, WindowsDomain) else "")
    if title:
        _text(root, "title", title)
    machine = SubElement(SubElement(root, "metadata"), f"{{{NAMESPACE}}}machine")
    _text(machine, f"{{{NAMESPACE}}}id", identity.id)
    _text(machine, f"{{{NAMESPACE}}}root", str(identity.root))
    _text(root, "memory", str(domain.memory), unit="MiB", dumpCore="off")
    _text(root, "vcpu", str(domain.cpus))
    boot = SubElement(root, "os")
    _text(boot, "type", "hvm", arch="x86_64", machine="q35")
    match domain:
        case Domain():
            _kernel(boot, domain)
        case WindowsDomain():
            _firmware(boot, domain)
    _features(root, domain)
    _cpu(root, domain)
    _clock(root, domain)
    restarts = isinstance(domain, WindowsDomain) and domain.reboots
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        _text(root, event, "restart" if event == "on_reboot" and restarts else "destroy")
    _devices(SubElement(root, "devices"), domain, console_log)
    if owner is not None:
        # The files are the user's already, and what is shared with other machines must not become his.
        label = SubElement(root, "seclabel", type="static", model="dac", relabel="no")
        _text(label, "label", f"+{owner.uid}:+{owner.gid}")
    return _written(root)


def nic_xml(nic_id: str, tap: str, mac: str, port: int) -> str:
    """A NIC on a tap that exists, behind the root port of that number."""
    nic = Element("interface", type="ethernet")
    SubElement(nic, "target", dev=tap, managed="no")
    _nic(nic, nic_id, mac, port)
    return _written(nic)


def user_nic_xml(nic_id: str, attachment: Attachment, port: int) -> str:
    """A NIC whose network is QEMU itself; its published ports are no part of what libvirt can say."""
    address, _, prefix = USER_SUBNET.subnet.partition("/")
    nic = Element("interface", type="user")
    SubElement(nic, "ip", family="ipv4", address=address, prefix=prefix)
    _nic(nic, nic_id, attachment.mac, port)
    return _written(nic)


def alias_of(nic_id: str) -> str:
    """What a NIC is called in its domain. Raises InvalidRequest for an unusable id."""
    _, device = nic_names(nic_id)
    return f"ua-{device}"


def forwards(nic_id: str, attachment: Attachment) -> list[str]:
    """Commands of QEMU's own monitor by which it listens at the attachment's ports."""
    return [
        f"hostfwd_add host{alias_of(nic_id)} "
        f"{port.protocol}:{port.host_ip}:{port.host_port}-{attachment.ipv4}:{port.container_port}"
        for port in attachment.ports
    ]


# What libvirt answers


def free_port(live: str, ports: int) -> int | None:
    """The number of the first root port, of ``ports``, that has no device in it; None where all have."""
    devices = _read(live).find("devices")
    taken = {
        int(address.get("bus", "0"), 16)
        for device in (devices if devices is not None else ())
        if device.tag != "controller" and (address := device.find("address[@type='pci']")) is not None
    }
    return next((port for port in range(1, ports + 1) if port not in taken), None)


def hotplug_ports(live: str) -> int:
    """How many root ports a domain has."""
    return len(_read(live).findall("devices/controller[@model='pcie-root-port']"))


def has_nic(live: str, nic_id: str) -> bool:
    return any(alias.get("name") == alias_of(nic_id) for alias in _read(live).iter("alias"))


def has_screen(live: str) -> bool:
    return _read(live).find("devices/graphics") is not None


def agent_socket(live: str) -> Path | None:
    """Where libvirt put the socket of the agent's port."""
    source = _read(live).find(f"devices/channel/target[@name='{AGENT_PORT}']/../source")
    return None if source is None or not source.get("path") else Path(source.get("path", ""))


def emulator_user(live: str) -> int | None:
    """Whom the emulator runs as on the host; None where that was libvirtd's to choose."""
    label = _read(live).findtext("seclabel[@model='dac']/label")
    return int(label.partition(":")[0]) if label else None


def terminal(live: str) -> Path | None:
    """The pseudo-terminal behind a console that takes input; None for one that does not."""
    source = _read(live).find("devices/serial[@type='pty']/source")
    return None if source is None else Path(source.get("path", ""))


# Parts


def _kernel(boot: Element, domain: Domain) -> None:
    _text(boot, "kernel", str(domain.kernel))
    _text(boot, "initrd", str(domain.initrd))
    _text(boot, "cmdline", domain.cmdline)


def _firmware(boot: Element, domain: WindowsDomain) -> None:
    """The two images by name, as the direct driver has them: libvirt is not asked to choose."""
    _text(boot, "loader", str(domain.firmware), readonly="yes", type="pflash", secure="no")
    _text(boot, "nvram", str(domain.variables))


def _clock(root: Element, domain: AnyDomain) -> None:
    clock = SubElement(root, "clock", offset="utc")
    if not isinstance(domain, WindowsDomain):
        return
    # The guest's time zone is UTC, and a tick that came too late is made up for.
    SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    if domain.accelerator == "kvm":
        SubElement(clock, "timer", name="pit", tickpolicy="delay")
        SubElement(clock, "timer", name="hypervclock", present="yes")
    SubElement(clock, "timer", name="hpet", present="no")


def _features(root: Element, domain: AnyDomain) -> None:
    features = SubElement(root, "features")
    SubElement(features, "acpi")
    SubElement(features, "vmport", state="off")
    SubElement(features, "smm", state="off")
    if domain.accelerator == "tcg":
        _text(SubElement(features, "tcg"), "tb-cache", str(TCG_CACHE_MIB), unit="MiB")
    elif isinstance(domain, WindowsDomain):
        _hyperv(SubElement(features, "hyperv", mode="custom"))


def _hyperv(hyperv: Element) -> None:
    """What Windows is told, by libvirt's names; the time of Hyper-V is a timer of the clock's."""
    for name in ENLIGHTENMENTS:
        if name == "spinlocks":
            SubElement(hyperv, name, state="on", retries=str(SPIN_RETRIES))
        elif name == "stimer":
            SubElement(SubElement(hyperv, name, state="on"), "direct", state="on")
        elif name not in ("time", "stimer-direct"):
            SubElement(hyperv, name, state="on")


def _cpu(root: Element, domain: AnyDomain) -> None:
    if domain.accelerator == "kvm":
        SubElement(root, "cpu", mode="host-passthrough", check="none", migratable="on")
        return
    cpu = SubElement(root, "cpu", mode="custom", match="exact", check="none")
    model = domain.cpu_model if isinstance(domain, Domain) else CPU_MODELS[domain.accelerator]
    _text(cpu, "model", model, fallback="forbid")


def _devices(devices: Element, domain: AnyDomain, console_log: Path) -> None:
    serial = SubElement(devices, "controller", type="virtio-serial", index="0", ports="2", model=_MODERN)
    _on_board(serial, 0x02)
    channel = SubElement(devices, "channel", type="unix")
    # libvirt chooses where: the run folder's name can be longer than a socket's may be.
    SubElement(channel, "source", mode="bind")
    SubElement(channel, "target", type="virtio", name=AGENT_PORT)
    SubElement(channel, "address", type="virtio-serial", controller="0", bus="0", port="1")
    match domain:
        case Domain():
            _root_disk(devices, domain.root_disk)
            if domain.c_disk is not None:
                _on_board(_c_disk(devices, domain.c_disk, target="vdb", bus="virtio"), 0x05)
        case WindowsDomain():
            _disks(devices, domain)
    entropy = SubElement(devices, "rng", model=_MODERN)
    SubElement(entropy, "backend", model="builtin")
    _on_board(entropy, 0x04)
    _console(devices, domain, console_log)
    if _has_screen(domain):
        _screen(devices)
    else:
        SubElement(devices, "controller", type="usb", model="none")
    SubElement(devices, "memballoon", model="none")
    SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
    for number in range(domain.spare_ports):
        port = SubElement(devices, "controller", type="pci", index=str(number + 1), model="pcie-root-port")
        SubElement(port, "target", chassis=str(number + 1))
        _on_board(port, FIRST_PORT_ADDRESS + number)


def _root_disk(devices: Element, image: Path) -> None:
    disk = _disk(devices, image, {"type": "raw"}, target="vda", bus="virtio")
    SubElement(disk, "readonly")
    _text(disk, "serial", ROOT_SERIAL)
    _on_board(disk, 0x03)


def _disks(devices: Element, domain: WindowsDomain) -> None:
    """C: and an installer's discs, in the order in which firmware looks at them."""
    match domain.bus:
        case "virtio-blk":
            disk = _c_disk(devices, domain.disk, target="vda", bus="virtio")
            _on_board(disk, 0x05)
        case "virtio-scsi":
            controller = SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
            _on_board(controller, 0x05)
            disk = _c_disk(devices, domain.disk, target="sda", bus="scsi")
        case "sata":
            disk = _c_disk(devices, domain.disk, target="sda", bus="sata")
            _on_sata(disk, 0)
    SubElement(disk, "boot", order="1")
    for number, image in enumerate(checked(domain.discs), 1):
        disc = SubElement(devices, "disk", type="file", device="cdrom")
        SubElement(disc, "driver", name="qemu", type="raw")
        SubElement(disc, "source", file=str(image))
        SubElement(disc, "target", dev=f"sd{chr(ord('b') + number)}", bus="sata")
        SubElement(disc, "readonly")
        _on_sata(disc, number)
        SubElement(disc, "boot", order=str(number + 1))


def _c_disk(devices: Element, image: Path, *, target: str, bus: str) -> Element:
    # A failing host disk is reported to the guest: the default for a full one is to pause it.
    driver = {
        "type": "qcow2",
        "discard": "unmap",
        "detect_zeroes": "unmap",
        "error_policy": "report",
        "rerror_policy": "report",
    }
    disk = _disk(devices, image, driver, target=target, bus=bus)
    _text(disk, "serial", C_SERIAL)
    return disk


def _disk(devices: Element, image: Path, driver: Mapping[str, str], *, target: str, bus: str) -> Element:
    # The page cache is used and flushes go to the disk; see medium_node of linwin.machine.domain.
    disk = SubElement(devices, "disk", type="file", device="disk")
    if bus == "virtio":
        disk.set("model", _MODERN)
    SubElement(disk, "driver", {"name": "qemu", "cache": "writeback", **driver})
    SubElement(disk, "source", file=str(image))
    SubElement(disk, "target", dev=target, bus=bus)
    return disk


def _on_sata(disk: Element, unit: int) -> None:
    SubElement(disk, "address", type="drive", controller="0", bus="0", target="0", unit=str(unit))


def _has_screen(domain: AnyDomain) -> bool:
    return isinstance(domain, WindowsDomain) or domain.screen


def _console(devices: Element, domain: AnyDomain, log: Path) -> None:
    if _has_screen(domain):
        serial = SubElement(devices, "serial", type="pty")
        SubElement(serial, "log", file=str(log), append="on")
    else:
        serial = SubElement(devices, "serial", type="file")
        SubElement(serial, "source", path=str(log), append="on")
    target = SubElement(serial, "target", type="isa-serial", port="0")
    SubElement(target, "model", name="isa-serial")


def _screen(devices: Element) -> None:
    """A screen that listens nowhere, and what its user types and points with."""
    graphics = SubElement(devices, "graphics", type="vnc")
    SubElement(graphics, "listen", type="none")
    video = SubElement(devices, "video")
    SubElement(video, "model", type="vga", vram=str(VIDEO_MIB << 10), heads="1", primary="yes")
    _on_board(video, 0x01)
    _on_board(SubElement(devices, "controller", type="usb", index="0", model="qemu-xhci"), 0x06)
    for kind in ("keyboard", "tablet"):
        SubElement(devices, "input", type=kind, bus="usb")
    SubElement(devices, "audio", id="1", type="none")


def _nic(nic: Element, nic_id: str, mac: str, port: int) -> None:
    SubElement(nic, "mac", address=mac)
    SubElement(nic, "model", type=_MODERN)
    SubElement(nic, "driver", name="qemu")  # no vhost, as ever
    SubElement(nic, "rom", enabled="no")
    SubElement(nic, "alias", name=alias_of(nic_id))
    SubElement(
        nic, "address", type=_PCI_TYPE, domain="0x0000", bus=f"{port:#04x}", slot="0x00", function="0x0"
    )


def _on_board(device: Element, slot: int) -> None:
    SubElement(
        device, "address", type=_PCI_TYPE, domain="0x0000", bus="0x00", slot=f"{slot:#04x}", function="0x0"
    )


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def _written(root: Element) -> str:
    ElementTree.register_namespace("linwin", NAMESPACE)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _read(live: str) -> Element:
    return ElementTree.fromstring(live)
