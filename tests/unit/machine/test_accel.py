"""KVM is believed in only when a guest has run under it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.host.programs import find_program
from linwin.machine import accel, qemu
from linwin.machine.accel import Acceleration, find_acceleration, probe
from linwin.machine.qemu import QemuMachines
from linwin.machine.testguest import image

SOFTWARE = "; guests run under software emulation (TCG), many times slower"


@pytest.fixture
def device(room: Path) -> Path:
    """Stands for /dev/kvm where the answer does not depend on opening it."""
    path = room / "kvm"
    path.touch()
    return path


@pytest.fixture
def fake_qemu(room: Path) -> Callable[[str], Path]:
    """``fake_qemu(script)``: a QEMU that does as the shell script says."""

    def make(script: str) -> Path:
        path = room / "qemu-system-x86_64"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


async def test_the_test_guest_runs_to_its_end(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under emulation, so that this proves the guest right on a host without KVM as well."""
    arguments = accel._arguments
    emulated = {"kvm": "tcg", "host": "Nehalem"}
    monkeypatch.setattr(accel, "_arguments", lambda fd: [emulated.get(word, word) for word in arguments(fd)])
    monkeypatch.setattr(accel, "TIME_LIMIT", 30.0)  # the host may be busy, and it is not KVM that is timed
    assert await probe(Path(find_program("qemu-system-x86_64")), device) == Acceleration("kvm")


async def test_another_guest_does_not_pass(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = accel._arguments
    emulated = {"kvm": "tcg", "host": "Nehalem"}
    monkeypatch.setattr(accel, "_arguments", lambda fd: [emulated.get(word, word) for word in arguments(fd)])
    monkeypatch.setattr(accel, "image", lambda: image()[:-6] + bytes(6))  # an empty descriptor table
    found = await probe(Path(find_program("qemu-system-x86_64")), device)
    assert found.name == "tcg"


async def test_no_device(room: Path, fake_qemu: Callable[[str], Path]) -> None:
    found = await find_acceleration(fake_qemu("exit 85"), room / "cache", room / "none")
    assert found == Acceleration("tcg", f"KVM is not usable here: there is no {room}/none" + SOFTWARE)


async def test_a_guest_that_never_ends(
    device: Path, fake_qemu: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accel, "TIME_LIMIT", 0.2)
    found = await probe(fake_qemu("exec sleep 60"), device)
    assert found.reason == (
        f"KVM is not usable here: {device} is there, but a test guest did not run within 0.2 s" + SOFTWARE
    )


async def test_a_qemu_that_gives_up_is_quoted(device: Path, fake_qemu: Callable[[str], Path]) -> None:
    script = (
        'echo "qemu-system-x86_64: warning: host lacks a feature" >&2; '
        'echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69" >&2; '
        'echo "qemu-system-x86_64: assertion failed" >&2; kill -ABRT $$'
    )
    found = await probe(fake_qemu(script), device)
    assert found.reason == (
        f"KVM is not usable here: {device} is there, but a test guest did not run "
        "(error: failed to set MSR 0x10a to 0x69)" + SOFTWARE
    )


async def test_a_qemu_that_ends_without_a_word(device: Path, fake_qemu: Callable[[str], Path]) -> None:
    found = await probe(fake_qemu("exit 0"), device)
    assert found.reason == (
        f"KVM is not usable here: {device} is there, but a test guest did not run (QEMU exited with 0)"
        + SOFTWARE
    )


@pytest.mark.root
async def test_the_probe_runs_as_an_ordinary_user(device: Path, fake_qemu: Callable[[str], Path]) -> None:
    qemu = fake_qemu('[ "$(id -u) $(id -g) $(id -G)" = "65534 65534 65534" ] || exit 1; exit 85')
    os.chown(device, 0, 65534)
    assert await probe(qemu, device) == Acceleration("kvm")


async def test_the_answer_is_remembered_until_something_changes(
    room: Path, device: Path, fake_qemu: Callable[[str], Path]
) -> None:
    counting = f"echo x >>{room}/count; exit 85"
    (room / "count").touch(0o666)
    os.chmod(room / "count", 0o666)
    binary = fake_qemu(counting)

    async def probes() -> int:
        assert await find_acceleration(binary, room / "cache", device) == Acceleration("kvm")
        return os.stat(room / "count").st_size // 2

    assert [await probes(), await probes()] == [1, 1]
    os.chmod(device, 0o600 if os.stat(device).st_mode & 0o77 else 0o660)
    assert await probes() == 2
    fake_qemu(counting + " # another build")
    assert [await probes(), await probes()] == [3, 3]
    damage(room / "cache" / "accelerator.json")
    assert [await probes(), await probes()] == [4, 4]


async def test_a_no_is_remembered_with_its_reason(
    room: Path, device: Path, fake_qemu: Callable[[str], Path]
) -> None:
    binary = fake_qemu("echo no luck >&2; exit 1")
    first = await find_acceleration(binary, room / "cache", device)
    assert "no luck" in str(first.reason)
    record = json.loads((room / "cache" / "accelerator.json").read_bytes())
    assert (record["name"], record["reason"]) == (first.name, first.reason)
    assert await find_acceleration(binary, room / "cache", device) == first


async def test_software_emulation_is_told_once(
    machines: QemuMachines, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def found(*_arguments: object) -> Acceleration:
        return Acceleration("tcg", "KVM is not usable here")

    monkeypatch.setattr(qemu, "find_acceleration", found)
    assert [await machines.accelerator(), await machines.accelerator()] == ["tcg", "tcg"]
    assert caplog.messages == ["KVM is not usable here"]


async def test_a_cache_that_cannot_be_written_is_told(
    machines: QemuMachines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_arguments: object) -> Acceleration:
        raise OSError(errno.ENOSPC, "No space left on device", "/cache")

    monkeypatch.setattr(qemu, "find_acceleration", full)
    with pytest.raises(Unavailable) as caught:
        await machines.accelerator()
    assert str(caught.value) == (
        "the accelerator of this host could not be probed: [Errno 28] No space left on device: '/cache'"
    )


def damage(path: Path) -> None:
    path.write_bytes(b'{"key": [')
