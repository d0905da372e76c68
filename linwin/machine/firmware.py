"""The UEFI firmware of this host, and each machine's own copy of its variables.

Distributions install OVMF under names of their own. What QEMU has to be given is in descriptors that
they install beside it, JSON files of the form of QEMU's docs/interop/firmware.json, which also says
where they lie: the first in the order of their names that suits is taken, a file in ``/etc`` stands for
one of the same name in ``/usr/share``, and an empty one for none. An administrator chooses another
firmware by such a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from linwin.errors import Unavailable
from linwin.host.files import write_atomically

FOLDERS = (Path("/usr/share/qemu/firmware"), Path("/etc/qemu/firmware"))
"""Where descriptors lie, the ones that take precedence last."""

_MACHINE = "pc-q35-1.0"  # as patterns of machines name q35, whatever QEMU's version
# Secure Boot does not take the drivers of virtio-win's free releases, nor does it work without SMM.
_UNWANTED = {"secure-boot", "enrolled-keys", "requires-smm"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """Two raw images: what runs, and its variables as they are at first."""

    code: Path
    variables: Path


def find_firmware(folders: Sequence[Path] = FOLDERS) -> Firmware:
    """The firmware for machines without Secure Boot. Raises Unavailable where there is none."""
    for descriptor in _descriptors(folders):
        found = _suitable(descriptor)
        if found is not None and found.code.is_file() and found.variables.is_file():
            return found
    raise Unavailable(
        "this host has no UEFI firmware, from which Windows guests start",
        hint="Install it: apt install ovmf (Debian, Ubuntu), dnf install edk2-ovmf (Fedora), "
        "pacman -S edk2-ovmf (Arch).",
    )


def keep_variables(firmware: Firmware, path: Path, uid: int) -> None:
    """See to it that the host user ``uid`` has variables of its own at ``path``. Raises OSError.

    What is there stays, unless it is of another firmware: they are as large as its own, then.
    """
    if not path.exists() or path.stat().st_size != firmware.variables.stat().st_size:
        write_atomically(path, firmware.variables.read_bytes())
    if os.geteuid() == 0:  # each time: an earlier attempt may have come no further than to here
        os.chown(path, uid, uid)


def _descriptors(folders: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """What can be read of them, in their order."""
    files = {path.name: path for folder in folders for path in folder.glob("*.json")}
    for _, path in sorted(files.items()):
        try:
            content = json.loads(path.read_bytes() or b"null")
        except (OSError, ValueError):
            continue  # another program's file, which hides none of the others
        if isinstance(content, Mapping):
            yield content


def _suitable(descriptor: Mapping[str, Any]) -> Firmware | None:
    try:
        mapping, features = descriptor["mapping"], set(descriptor["features"])
        patterns = [
            pattern
            for target in descriptor["targets"]
            if target["architecture"] == "x86_64"
            for pattern in target["machines"]
        ]
        code, variables = mapping["executable"], mapping["nvram-template"]
        suits = (
            "uefi" in descriptor["interface-types"]
            and mapping["device"] == "flash"
            and code["format"] == variables["format"] == "raw"
            and not features & _UNWANTED
            and any(fnmatchcase(_MACHINE, pattern) for pattern in patterns)
        )
        return Firmware(Path(code["filename"]), Path(variables["filename"])) if suits else None
    except (KeyError, TypeError):
        return None  # of a device that has no variables, or of a form that came later
