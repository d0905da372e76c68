"""Machines that do not start: each says why, and leaves nothing (see the ``spec`` fixture)."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.machine import qemu
from linwin.machine.qemu import QemuMachines
from linwin.model.machine import LinuxBoot, MachineSpec

pytestmark = pytest.mark.usefixtures("emulated")


@pytest.mark.root
async def test_a_template_out_of_the_users_reach_says_what_to_open(
    machines: QemuMachines, spec: MachineSpec, room: Path
) -> None:
    os.chmod(room, 0o700)
    with pytest.raises(Unavailable, match="Permission denied") as caught:
        await machines.boot(replace(spec, uid=61234))
    assert caught.value.hint == f"QEMU runs as user 61234, who may not enter {room}: chmod o+x {room}"


@pytest.mark.root
async def test_a_template_that_the_user_may_not_read_says_so(
    machines: QemuMachines, spec: MachineSpec
) -> None:
    assert isinstance(spec.boot, LinuxBoot)
    os.chmod(spec.boot.root_disk, 0o600)
    with pytest.raises(Unavailable, match="Permission denied") as caught:
        await machines.boot(replace(spec, uid=61234))
    assert caught.value.hint == "QEMU runs as user 61234, who must be able to read the template's files"


async def test_a_machine_that_does_not_start_quotes_qemu(machines: QemuMachines, spec: MachineSpec) -> None:
    assert isinstance(spec.boot, LinuxBoot)
    nowhere = spec.boot.root_disk.with_name("none")
    with pytest.raises(Unavailable) as caught:
        await machines.boot(replace(spec, boot=replace(spec.boot, root_disk=nowhere)))
    assert caught.value.message.startswith("the container's machine did not start: qemu-system-x86_64: ")
    assert caught.value.message.endswith(f"Could not open '{nowhere}': No such file or directory")


async def test_a_qemu_that_ends_at_once_without_a_word(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "BINARY", "false")
    with pytest.raises(Unavailable) as caught:
        await machines.boot(spec)
    assert str(caught.value) == "the container's machine did not start: QEMU exited with 1"


async def test_a_qemu_that_never_answers_is_ended(
    machines: QemuMachines, spec: MachineSpec, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "BINARY", str(mute_program(room / "mute")))
    monkeypatch.setattr(qemu, "START_SECONDS", 0.2)
    with pytest.raises(Unavailable) as caught:
        await machines.boot(spec)
    assert str(caught.value) == (
        "the container's machine did not start: "
        "the monitor of machine 0123456789ab did not answer within 0.2 s"
    )


async def test_too_little_memory_is_told_before_the_start(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "available_memory", lambda: 300)
    with pytest.raises(Unavailable) as caught:
        await machines.boot(spec)
    assert str(caught.value) == (
        "not enough memory for a guest of 64 MiB: "
        "it needs 384 MiB with its emulator, and 300 MiB are available\n"
        "stop other containers, or give this one less memory with --memory"
    )


async def test_a_full_disk_is_told_and_leaves_nothing(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "pid")

    monkeypatch.setattr(qemu, "write_atomically", full)
    with pytest.raises(Unavailable) as caught:
        await machines.boot(spec)
    assert str(caught.value) == (
        f"the container's machine did not start: {spec.run_dir}: No space left on device"
    )


async def test_a_missing_run_folder_is_told(machines: QemuMachines, spec: MachineSpec) -> None:
    gone = spec.run_dir / "gone"
    with pytest.raises(Unavailable) as caught:
        await machines.boot(replace(spec, run_dir=gone))
    assert str(caught.value) == f"the container's machine did not start: {gone}: No such file or directory"


async def test_a_cancelled_boot_leaves_nothing(
    machines: QemuMachines, spec: MachineSpec, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "BINARY", str(mute_program(room / "mute")))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(machines.boot(spec), 0.2)


async def test_a_missing_qemu_names_its_package(
    machines: QemuMachines, spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "BINARY", "qemu-system-x86_64-gone")
    with pytest.raises(Unavailable, match=r"^the program qemu-system-x86_64-gone is not installed"):
        await machines.boot(spec)


def mute_program(path: Path) -> Path:
    path.write_text("#!/bin/sh\nexec sleep 60\n")
    path.chmod(0o755)
    return path
