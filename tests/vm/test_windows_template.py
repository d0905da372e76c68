"""Firmware starts a template's disk: OVMF under QEMU, and a program of ours where Windows' boot manager goes.

What the program finds, through the firmware's own drivers, it tells the serial port: the file it was
started from, its partition, the boot store, the disk, and what C:'s boot sector says of its place. The
machine is the one that is described for Windows guests.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from linwin.machine.domain import Descriptors
from linwin.machine.windows import WindowsDomain, arguments
from linwin.model.machine import Bus
from linwin.paths import Paths
from linwin.templates import InstalledTemplates
from tests.unit.templates.windows import disks, infs, media
from tests.unit.templates.windows.readers import Disk
from tests.vm.windows_disk import boot_manager, build_template

_FIRMWARE = Path("/usr/share/OVMF")
_TIMEOUT = 240  # seconds; five do on an idle machine


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    return build_template(folder, Paths(folder / "root", folder / "s")).c_disk


def start(domain: WindowsDomain, folder: Path) -> None:
    """Run a machine until it is switched off; its console is in ``folder``."""
    with socket.socket(socket.AF_UNIX) as monitor, socket.socket(socket.AF_UNIX) as agent:
        for listening, name in ((monitor, "monitor"), (agent, "agent")):
            listening.bind(str(folder / name))
            listening.listen()
        with (folder / "console").open("ab") as console:
            handed = Descriptors(monitor.fileno(), agent.fileno(), console.fileno())
            words = arguments(replace(domain, descriptors=handed))
            fds = (handed.monitor, handed.agent, handed.console)
            media.run("qemu-system-x86_64", *words, timeout=_TIMEOUT, pass_fds=fds)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of a user's disk, which firmware without a memory would not have started."""
    folder = tmp_path_factory.mktemp("imported")
    boot = boot_manager(folder)
    root = folder / "root"
    templates = InstalledTemplates(Paths(root, root / "s"), cache=folder / "cache")

    async def build() -> Path:
        raw = await disks.windows_disk(folder / "user", disks.Installed(boot=boot, fallback=False))
        iso = media.virtio_iso(folder, infs.ALL, "2k22")
        made = await templates.import_disk("mine", lambda _: None, disks.converted(raw, "vhdx"), iso)
        return made.c_disk

    return asyncio.run(build())


@pytest.mark.parametrize("bus", ["virtio-blk", "virtio-scsi", "sata"])
def test_firmware_starts_the_disk_through(bus: Bus, template: Path, tmp_path: Path) -> None:
    check_start(template, bus, tmp_path)


def test_firmware_starts_an_imported_disk(imported: Path, tmp_path: Path) -> None:
    check_start(imported, "virtio-blk", tmp_path)


def check_start(template: Path, bus: Bus, tmp_path: Path) -> None:
    """The program that firmware starts sees the disk as sgdisk does."""
    overlay, variables = tmp_path / "disk.qcow2", tmp_path / "variables.fd"
    media.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", template, overlay)
    shutil.copyfile(_FIRMWARE / "OVMF_VARS_4M.fd", variables)  # without an entry of what to start
    domain = WindowsDomain(
        name="windows",
        accelerator="tcg",
        cpus=1,
        memory=256,
        firmware=_FIRMWARE / "OVMF_CODE_4M.fd",
        variables=variables,
        disk=overlay,
        bus=bus,
        generation=uuid4(),
        spare_ports=4,
        descriptors=Descriptors(0, 0, 0),
    )
    start(domain, tmp_path)
    console = (tmp_path / "console").read_bytes().decode(errors="replace")
    told = re.findall(r"linwin-efi: (.*)\r\n", console)
    disk = Disk(template, tmp_path)
    disk.close()
    esp, _, windows = disk.partitions
    sector = f"{windows.start // 512:08x}"
    assert told[0].lower() == r"started from \efi\boot\bootx64.efi"
    assert told[1:] == [
        f"partition 1 {esp.identifier}",
        "store regf",
        f"disk {disk.identifier}",
        f"third {windows.identifier} NTFS at {sector} says {sector}",
        "end",
    ]
