"""The command line of a Windows guest's machine, pinned as that of others (test_domain.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from linwin.machine.domain import Accelerator, Descriptors
from linwin.machine.windows import ENLIGHTENMENTS, Bus, WindowsDomain, arguments
from tests.golden.machine.test_domain import check

HERE = Path(__file__).parent
DOMAIN = WindowsDomain(
    name="linwin-0123456789ab",
    accelerator="kvm",
    cpus=2,
    memory=2048,
    firmware=Path("/usr/share/OVMF/OVMF_CODE_4M.fd"),
    variables=Path("/containers/01/machine/variables,odd name.fd"),
    disk=Path("/containers/01/c.qcow2"),
    bus="virtio-blk",
    generation=UUID("12345678-1234-5678-1234-567812345678"),
    spare_ports=2,
    descriptors=Descriptors(monitor=10, agent=11, console=12),
)


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_the_command_line_is_the_golden_one(accelerator: Accelerator) -> None:
    check(arguments(replace(DOMAIN, accelerator=accelerator)), HERE / f"windows-{accelerator}.args")


@pytest.mark.parametrize("bus", ["virtio-scsi", "sata"])
def test_another_bus_changes_the_disks_device_alone(bus: Bus) -> None:
    plain, other = arguments(DOMAIN), arguments(replace(DOMAIN, bus=bus))
    gone = [word for word in plain if word not in other]
    assert [word.partition(",")[0] for word in gone] == ['{"driver": "virtio-blk-pci"']


def test_what_windows_is_told_of_hyper_v_is_complete() -> None:
    for name, needed in ENLIGHTENMENTS.items():
        assert ENLIGHTENMENTS.keys() >= set(needed), name
