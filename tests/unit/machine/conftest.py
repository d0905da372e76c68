"""Guests of a few dozen bytes, and a place for their machines that leaves nothing behind."""

from __future__ import annotations

import os
import signal
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin import paths
from linwin.host.pidfd import find_working_in
from linwin.machine.accel import Acceleration
from linwin.machine.qemu import QemuMachines
from linwin.model.machine import LinuxBoot, MachineSpec
from linwin.paths import Paths

LOAD_ADDRESS = 0x100000
HEADER_SIZE = 32

HALT = b"\xf4\xeb\xfd"  # hlt; jmp back to it
TRIPLE_FAULT = b"\x31\xc0\x0f\x01\x18\xcc"  # an empty interrupt table, then an interrupt
# Asks ACPI's PCI hot-plug registers (QEMU's docs/specs/acpi_pci_hotplug) of each of 16 buses in
# turn what is to go, and ejects it.
LET_GO = (
    b"\x31\xc9"  # xor ecx, ecx
    b"\x66\xba\xd0\x0c\x89\xc8\xef"  # next: mov dx, 0xcd0; mov eax, ecx; out dx, eax: the bus
    b"\x66\xba\xc4\x0c\xed"  # mov dx, 0xcc4; in eax, dx: the slots to go
    b"\x85\xc0\x74\x05"  # test eax, eax; jz on
    b"\x66\xba\xc8\x0c\xef"  # mov dx, 0xcc8; out dx, eax: eject
    b"\x41\x83\xe1\x0f\xeb\xe4"  # on: inc ecx; and ecx, 15; jmp next
)
# Enables ACPI's power button (PM1a of QEMU's q35, where SeaBIOS puts it), says so, and once it is pressed
# switches the machine off.
POWER_OFF = (
    b"\x66\xba\x02\x06\x66\xb8\x00\x01\x66\xef"  # mov dx, 0x602; mov ax, 0x100; out dx, ax
    b"\x66\xba\xf8\x03\xb0\x21\xee\xb0\x0a\xee"  # to the serial port: !, a line feed
    b"\x66\xba\x00\x06"  # mov dx, 0x600
    b"\x66\xed\xf6\xc4\x01\x74\xf9"  # again: in ax, dx; test ah, 1; jz again
    b"\x66\xba\x04\x06\x66\xb8\x00\x20\x66\xef"  # mov dx, 0x604; mov ax, 0x2000; out dx, ax
) + HALT
AGAIN = b"\xe9"  # jump to the start, the distance is filled in


def multiboot(text: str, then: bytes) -> bytes:
    """A guest that writes ``text`` to the serial port and does ``then``.

    Multiboot Specification 0.6.96, 3.1: 32-bit protected mode, loaded whole.
    """
    start = LOAD_ADDRESS + HEADER_SIZE
    loop = b"\xac\x84\xc0\x74\x03\xee\xeb\xf8"  # lodsb; test al,al; jz out; out dx,al; jmp loop
    before_text = 5 + 4 + 1 + len(loop)
    if then == AGAIN:
        then = b"\xe9" + struct.pack("<i", -(before_text + 5))
    code = b"\xbe" + struct.pack("<I", start + before_text + len(then))  # mov esi, text
    code += b"\x66\xba\xf8\x03" + b"\xfc" + loop + then  # mov dx, 0x3f8; cld
    magic, flags = 0x1BADB002, 1 << 16
    checksum = -(magic + flags) & 0xFFFFFFFF
    header = struct.pack("<8I", magic, flags, checksum, LOAD_ADDRESS, LOAD_ADDRESS, 0, 0, start)
    return header + code + text.encode() + b"\0"


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="linwin-machine-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture
def machines(room: Path) -> QemuMachines:
    return QemuMachines(Paths(room, room / "linwin.sock"))


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same accelerator on every host, and no probe in each test's fresh cache."""

    async def acceleration(_machines: QemuMachines) -> Acceleration:
        return Acceleration("tcg", "by the test")

    monkeypatch.setattr(QemuMachines, "acceleration", acceleration)


@pytest.fixture
def spec(room: Path) -> Iterator[MachineSpec]:
    """A machine whose guest says hello and sleeps. Nothing of it but its logs may be left after a test."""
    (room / "initrd").write_bytes(b"initrd")
    (room / "root.erofs").write_bytes(bytes(1 << 20))
    (room / "run").mkdir()
    plain = MachineSpec(
        id="0123456789abcdef" * 4,
        boot=LinuxBoot(room / "kernel", room / "initrd", "console=ttyS0", room / "root.erofs"),
        memory=64,
        cpus=1,
        run_dir=room / "run",
    )
    yield with_guest(plain, "hello\n", HALT)
    running = find_working_in(plain.run_dir)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    assert running == []
    files = {path.name for path in plain.run_dir.iterdir() if path.is_file() or path.is_socket()}
    assert files <= {paths.CONSOLE_LOG, paths.QEMU_LOG}


def with_guest(spec: MachineSpec, text: str, then: bytes) -> MachineSpec:
    """The same machine with another guest."""
    kernel_of(spec).write_bytes(multiboot(text, then))
    return spec


def kernel_of(spec: MachineSpec) -> Path:
    assert isinstance(spec.boot, LinuxBoot)
    return spec.boot.kernel


@pytest.fixture
def guest(spec: MachineSpec) -> Callable[[str, str], MachineSpec]:
    """``guest(text, ending)``: the machine with another guest, that says ``text`` first."""
    endings = {"halt": HALT, "fault": TRIPLE_FAULT, "again": AGAIN, "let go": LET_GO, "power off": POWER_OFF}
    return lambda text, then: with_guest(spec, text, endings[then])
