"""The command line of a Windows guest's machine, pinned as that of others (test_domain.py)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from linwin.errors import InvalidRequest
from linwin.machine.describe import describe
from linwin.machine.domain import Accelerator, Descriptors
from linwin.machine.windows import ENLIGHTENMENTS, WindowsDomain, arguments
from linwin.model.machine import Bus, FirmwareBoot, MachineSpec
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


def test_an_installers_discs_are_looked_at_after_the_disk() -> None:
    discs = (Path("/iso/Windows, 2022.iso"), Path("/iso/virtio-win.iso"))
    check(arguments(replace(DOMAIN, discs=discs)), HERE / "windows-discs.args")


def test_there_are_drives_for_five_discs() -> None:
    arguments(replace(DOMAIN, discs=(Path("/iso"),) * 5))
    with pytest.raises(InvalidRequest) as caught:
        arguments(replace(DOMAIN, discs=(Path("/iso"),) * 6))
    assert caught.value.message == "a machine has drives for 5 discs, not 6"


def test_a_machine_that_may_not_restart_ends() -> None:
    plain, other = arguments(DOMAIN), arguments(replace(DOMAIN, reboots=False))
    assert [word for word in other if word not in plain] == ["-no-reboot"]


SPEC = MachineSpec(
    id="0123456789abcdef" * 4,
    boot=FirmwareBoot(DOMAIN.variables, "sata", (Path("/iso"),), reboots=False),
    memory=2048,
    cpus=0,
    run_dir=Path("/containers/01/machine"),
    spare_ports=2,
    c_disk=DOMAIN.disk,
    screen=True,
)


def test_a_machine_is_described_whole() -> None:
    described = describe(SPEC, "kvm", DOMAIN.descriptors, firmware=DOMAIN.firmware)
    assert isinstance(described, WindowsDomain)
    expected = replace(DOMAIN, bus="sata", discs=(Path("/iso"),), reboots=False)
    assert described == replace(expected, generation=described.generation)
    assert described.footprint == 2048 + 64 + 2 * 16


def test_a_container_stays_the_same_machine_and_its_copy_is_another() -> None:
    first, again, copy = (
        describe(spec, "kvm", DOMAIN.descriptors, firmware=DOMAIN.firmware)
        for spec in (SPEC, replace(SPEC, memory=4096), replace(SPEC, id="f" * 64))
    )
    generations = [domain.generation for domain in (first, again, copy) if isinstance(domain, WindowsDomain)]
    assert generations[0] == generations[1] != generations[2]


@pytest.mark.parametrize(
    "change", [{"c_disk": None}, {"screen": False}, {"nic": True}], ids=lambda change: next(iter(change))
)
def test_what_firmware_starts_has_c_and_a_screen(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^a machine that firmware starts has C: and a screen, and no NIC"):
        describe(replace(SPEC, **change), "kvm", DOMAIN.descriptors, firmware=DOMAIN.firmware)  # type: ignore[arg-type]


def test_what_windows_is_told_of_hyper_v_is_complete() -> None:
    for name, needed in ENLIGHTENMENTS.items():
        assert ENLIGHTENMENTS.keys() >= set(needed), name
