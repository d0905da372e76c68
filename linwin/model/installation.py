"""A Windows that its own Setup installs in a machine, and how what runs there tells how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SERIAL_MARK = "linwin-setup: "
"""What a line on the serial port begins with that scripts of ours say; a phase's word follows."""

FAILED = "failed"
"""The word that is followed by what went wrong; nothing comes after it."""

SPOKEN = {
    "pe": "Windows PE is running",
    "specialize": "Windows configures itself for this machine",
    "logon": "First logon",
    "drivers": "Installing drivers",
    "agent": "Installing the agent",
    "trim": "Giving back what the disk does not need",
    "sysprep": "Generalizing (sysprep)",
}
"""The phases that are told by their words, in their order, in words for people."""

LAST = "sysprep"
"""The phase after which the machine switches itself off."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What a machine is to be started with so that Windows is on ``disk`` when it switches itself off.

    ``template`` is what is being built, for people. ``disk`` is an empty qcow2, and all ``discs`` are
    ISOs, of which firmware starts the first without asking. ``memory`` is in MiB.
    """

    template: str
    disk: Path
    discs: tuple[Path, ...]
    memory: int
