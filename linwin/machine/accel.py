"""Which accelerator guests get, found by running one.

That ``/dev/kvm`` opens proves nothing: on hosts that are guests themselves it
may open and create machines, and then never run one. So the smallest guest is
started under it with a time limit, as the user that machines run as.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host.files import write_atomically
from linwin.host.process import run
from linwin.host.resources import device_group
from linwin.machine.domain import Accelerator
from linwin.machine.testguest import EXIT_CODE, EXIT_PORT, image

KVM = Path("/dev/kvm")
TIME_LIMIT = 3.0
"""Seconds that the test guest may take; with a working KVM it takes a tenth of one."""

_NOBODY = 65534


@dataclass(frozen=True, slots=True)
class Acceleration:
    """The accelerator to use; ``reason`` says why it is not KVM, in a sentence for the user."""

    name: Accelerator
    reason: str | None = None


async def find_acceleration(binary: Path, cache: Path, device: Path = KVM) -> Acceleration:
    """Probe, or remember the probe of the same kernel, CPU, device and QEMU. Raises OSError."""
    key = _key(binary, device)
    if key is None:
        return _emulation(f"there is no {device}")
    answer = cache / "accelerator.json"
    if (known := _remembered(answer, key)) is not None:
        return known
    found = await probe(binary, device)
    _remember(answer, key, found)
    return found


async def probe(binary: Path, device: Path = KVM, *, uid: int | None = None) -> Acceleration:
    """Run the test guest under KVM once; as ``uid``, by default nobody where we are root."""
    if uid is None:
        uid = _NOBODY if os.geteuid() == 0 else 0
    guest = os.memfd_create("linwin-test-guest", os.MFD_CLOEXEC)
    try:
        os.write(guest, image())
        completed = await run(
            [binary, *_arguments(guest)],
            timeout=TIME_LIMIT,
            pass_fds=[guest],
            uid=uid,
            groups=[device_group(device)],
        )
    except Unavailable:
        return _emulation(f"{device} is there, but a test guest did not run within {TIME_LIMIT:g} s")
    finally:
        os.close(guest)
    if completed.returncode == EXIT_CODE:
        return Acceleration("kvm")
    words = _first_complaint(completed.stderr) or f"QEMU exited with {completed.returncode}"
    return _emulation(f"{device} is there, but a test guest did not run ({words})")


def _first_complaint(stderr: bytes) -> str:
    """What QEMU said first, the cause of all that follows, without its name and its warnings."""
    lines = (line.partition("qemu-system-x86_64: ") for line in stderr.decode(errors="replace").splitlines())
    complaints = (behind or before for before, _, behind in lines)
    return next((words.strip() for words in complaints if not words.startswith("warning:")), "")


def _emulation(why: str) -> Acceleration:
    return Acceleration(
        "tcg",
        f"KVM is not usable here: {why}; guests run under software emulation (TCG), many times slower",
    )


def _arguments(guest: int) -> list[str]:
    return [
        *("-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "32M"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", f"/proc/self/fd/{guest}"),
        *("-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4"),
    ]


def _key(binary: Path, device: Path) -> list[object] | None:
    """What the answer depends on, in JSON's terms; None where there is no device to ask about."""
    if not device.exists():
        return None
    program, kvm = binary.stat(), device.stat()
    return [
        platform.release(),
        host_cpu(),
        [str(binary), program.st_mtime_ns, program.st_size],
        [str(device), kvm.st_rdev, kvm.st_mode, kvm.st_uid, kvm.st_gid],
    ]


def host_cpu() -> str:
    """Model and flags of the first processor; the others' are the same."""
    first = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0]
    return "\n".join(line for line in first.splitlines() if line.startswith(("model name", "flags")))


def _remember(answer: Path, key: list[object], found: Acceleration) -> None:
    answer.parent.mkdir(parents=True, exist_ok=True)
    record = {"key": key, "name": found.name, "reason": found.reason}
    write_atomically(answer, json.dumps(record).encode(), durable=False)


def _remembered(answer: Path, key: list[object]) -> Acceleration | None:
    """The cached answer; None when there is none, it is damaged, or it answers another question."""
    try:
        record = json.loads(answer.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    match record:
        case {"key": asked, "name": "kvm" | "tcg" as name, "reason": str() | None as reason} if asked == key:
            return Acceleration(name, reason)
    return None
