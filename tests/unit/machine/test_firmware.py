"""Which firmware of a host is taken, and whose its variables are."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Unavailable
from linwin.machine import qemu
from linwin.machine.firmware import Firmware, find_firmware, keep_variables
from linwin.machine.qemu import QemuMachines
from linwin.model.machine import FirmwareBoot, MachineSpec
from linwin.paths import VARIABLES
from tests.unit.machine.test_qemu import console_says, make_disk


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The distribution's descriptors, and the administrator's."""
    made = (tmp_path / "usr", tmp_path / "etc")
    for folder in made:
        folder.mkdir()
    return made


def descriptor(folder: Path, name: str, **changes: Any) -> Firmware:
    """Write a descriptor of firmware that suits, but for ``changes``, with the images it names."""
    code, variables = folder / f"{name}-code.fd", folder / f"{name}-variables.fd"
    code.write_bytes(b"code")
    variables.write_bytes(b"variables")
    content = {
        "description": name,
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(variables), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3", "verbose-dynamic"],
        "tags": [],
    }
    (folder / f"{name}.json").write_text(json.dumps({**content, **changes}))
    return Firmware(code, variables)


def mapping(folder: Path, **changes: Any) -> dict[str, Any]:
    image = {"filename": str(folder / "10-code.fd"), "format": "raw"}
    return {"device": "flash", "executable": image, "nvram-template": image, **changes}


def test_the_first_in_the_order_of_names_is_taken(folders: tuple[Path, Path]) -> None:
    descriptor(folders[0], "60")
    first = descriptor(folders[0], "50")
    assert find_firmware(folders) == first


def test_the_administrators_choice_comes_before_the_distributions(folders: tuple[Path, Path]) -> None:
    descriptor(folders[0], "50")
    chosen = descriptor(folders[1], "50")
    assert find_firmware(folders) == chosen


def test_an_empty_descriptor_takes_one_away(folders: tuple[Path, Path]) -> None:
    descriptor(folders[0], "50")
    other = descriptor(folders[0], "60")
    (folders[1] / "50.json").touch()
    assert find_firmware(folders) == other


@pytest.mark.parametrize(
    "changes",
    [
        {"features": ["secure-boot", "requires-smm"]},
        {"features": ["enrolled-keys"]},
        {"interface-types": ["bios"]},
        {"targets": [{"architecture": "aarch64", "machines": ["pc-q35-*"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
        {"mapping": {"device": "memory", "filename": "/dev/null"}},
        {"mapping": {"device": "flash", "mode": "stateless", "executable": {"filename": "/dev/null"}}},
        {"features": None},
        {"targets": "all"},
    ],
    ids=str,
)
def test_what_does_not_suit_is_passed_over(folders: tuple[Path, Path], changes: dict[str, Any]) -> None:
    descriptor(folders[0], "10", **changes)
    suits = descriptor(folders[0], "90")
    assert find_firmware(folders) == suits


def test_another_form_of_images_is_passed_over(folders: tuple[Path, Path]) -> None:
    qcow2 = {"filename": str(folders[0] / "10-code.fd"), "format": "qcow2"}
    descriptor(folders[0], "10", mapping=mapping(folders[0], executable=qcow2))
    suits = descriptor(folders[0], "90")
    assert find_firmware(folders) == suits


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"{}"])
def test_a_descriptor_that_cannot_be_read_hides_none(folders: tuple[Path, Path], content: bytes) -> None:
    (folders[0] / "10.json").write_bytes(content)
    suits = descriptor(folders[0], "90")
    assert find_firmware(folders) == suits


def test_firmware_that_is_described_and_gone_is_passed_over(folders: tuple[Path, Path]) -> None:
    descriptor(folders[0], "10").code.unlink()
    suits = descriptor(folders[0], "90")
    assert find_firmware(folders) == suits


def test_a_host_without_firmware_is_told_what_to_install(folders: tuple[Path, Path]) -> None:
    with pytest.raises(Unavailable) as caught:
        find_firmware((*folders, folders[0] / "none"))
    assert caught.value.message == "this host has no UEFI firmware, from which Windows guests start"
    assert caught.value.hint == (
        "Install it: apt install ovmf (Debian, Ubuntu), dnf install edk2-ovmf (Fedora), "
        "pacman -S edk2-ovmf (Arch)."
    )


def test_variables_are_made_once_and_kept(folders: tuple[Path, Path], tmp_path: Path) -> None:
    firmware, kept = descriptor(folders[0], "50"), tmp_path / "variables.fd"
    keep_variables(firmware, kept, os.geteuid())
    assert (kept.read_bytes(), kept.stat().st_mode & 0o777) == (b"variables", 0o600)
    kept.write_bytes(b"remembers")
    keep_variables(firmware, kept, os.geteuid())
    assert kept.read_bytes() == b"remembers"


def test_variables_of_another_firmware_are_made_anew(folders: tuple[Path, Path], tmp_path: Path) -> None:
    firmware, kept = descriptor(folders[0], "50"), tmp_path / "variables.fd"
    kept.write_bytes(b"of a firmware with more room")
    keep_variables(firmware, kept, os.geteuid())
    assert kept.read_bytes() == b"variables"


@pytest.mark.root
def test_variables_are_the_machines_users(folders: tuple[Path, Path], tmp_path: Path) -> None:
    firmware, kept = descriptor(folders[0], "50"), tmp_path / "variables.fd"
    kept.write_bytes(b"remembers")  # by a start that was cut short, and so root's
    keep_variables(firmware, kept, 61234)
    assert (kept.stat().st_uid, kept.stat().st_gid) == (61234, 61234)
    assert kept.read_bytes() == b"remembers"


# Machines


@pytest.fixture
def by_firmware(spec: MachineSpec, room: Path, emulated: None) -> MachineSpec:
    """A machine whose disk holds nothing to start."""
    return replace(
        spec,
        boot=FirmwareBoot(room / VARIABLES),
        memory=256,
        c_disk=make_disk(room / "c.qcow2", owner=61234),
        screen=True,
        uid=61234,
    )


async def test_there_is_no_room_for_a_machine_without_its_firmware(
    machines: QemuMachines, by_firmware: MachineSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (await machines.room(by_firmware)).needed > 256
    monkeypatch.setattr(qemu, "find_firmware", lambda: find_firmware([tmp_path]))
    with pytest.raises(Unavailable, match=r"^this host has no UEFI firmware, from which Windows"):
        await machines.room(by_firmware)


@pytest.mark.root
async def test_firmware_runs_as_the_machines_user_and_remembers(
    machines: QemuMachines, by_firmware: MachineSpec
) -> None:
    machine = await machines.boot(by_firmware)
    # With nothing to start it asks the network, of which there is none, and then for its own shell.
    await console_says(machine, "BdsDxe")
    await machine.quit()
    assert isinstance(by_firmware.boot, FirmwareBoot)
    kept = by_firmware.boot.variables
    assert (kept.stat().st_uid, kept.stat().st_mode & 0o777) == (61234, 0o600)
    assert kept.read_bytes() != find_firmware().variables.read_bytes()


async def test_variables_that_cannot_be_kept_are_told(
    machines: QemuMachines, by_firmware: MachineSpec, room: Path
) -> None:
    nowhere = room / "none" / VARIABLES
    with pytest.raises(Unavailable) as caught:
        await machines.boot(replace(by_firmware, boot=FirmwareBoot(nowhere)))
    assert caught.value.message == (
        f"the container's machine did not start: {nowhere}: No such file or directory"
    )
