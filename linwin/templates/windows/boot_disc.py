"""A Windows ISO that firmware starts without asking anybody to press a key.

The boot image of Microsoft's ISOs, ``efisys.bin``, waits for a key and gives up without one; beside it
on the ISO lies one that does not, ``efisys_noprompt.bin``, of the same size. The one is written over the
other in a copy of the ISO, and nothing else is changed.

Format: "El Torito" Bootable CD-ROM Format Specification 1.0; platform 0xEF is the UEFI specification's
(13.3.2.1).
"""

from __future__ import annotations

import asyncio
import os
import struct
from pathlib import Path

from linwin.errors import InvalidRequest
from linwin.host import process
from linwin.templates.windows.iso import Iso

ASKING = "efi/microsoft/boot/efisys.bin"
SILENT = "efi/microsoft/boot/efisys_noprompt.bin"

_SECTOR = 2048
_RECORD = 17 * _SECTOR  # the boot record volume descriptor's place
_RECORD_START = b"\0CD001\1EL TORITO SPECIFICATION".ljust(39, b"\0")
_ENTRY = 32
_LARGEST = 64 << 20  # bytes of a boot image, Microsoft's having one to three million
_TIMEOUT = 3600.0  # seconds; gigabytes from a slow disk
_VALIDATION, _SECTION, _LAST_SECTION, _BOOTABLE, _EFI = 0x01, 0x90, 0x91, 0x88, 0xEF
_AS_PUBLISHED = "use the ISO as its publisher has it, not one that was made anew"


async def copy(iso: Iso, destination: Path, scratch: Path) -> None:
    """Copy an ISO to ``destination`` so that it starts at once. Raises InvalidRequest or OSError."""
    images = [iso.find(name) for name in (ASKING, SILENT)]
    if None in images:
        raise _unknown(iso, f"it lacks {SILENT}" if images[1] is None else f"it lacks {ASKING}")
    if max(image.size for image in images if image) > _LARGEST:
        raise _unknown(iso, f"its {ASKING} is larger than any boot image")
    asking, silent = await iso.extract(tuple(image for image in images if image), scratch)
    # A copy that shares its blocks with the original where the file system can.
    await process.run(["cp", "--reflink=auto", iso.source, destination], check=True, timeout=_TIMEOUT)
    await asyncio.to_thread(_patch, iso, destination, asking, silent)


def _patch(iso: Iso, copied: Path, asking: Path, silent: Path) -> None:
    copied.chmod(0o644)  # the original may be nobody's to write
    with copied.open("r+b") as file:
        place = efi_image(file.fileno())
        if place is None:
            raise _unknown(iso, "it has no boot image for UEFI")
        old, new = asking.read_bytes(), silent.read_bytes()
        there = os.pread(file.fileno(), max(len(old), len(new)), place)
        if there.startswith(new):
            return
        if not there.startswith(old) or len(old) != len(new):
            raise _unknown(iso, f"its boot image is not its {ASKING}")
        os.pwrite(file.fileno(), new, place)


def efi_image(file: int) -> int | None:
    """Where the boot image for UEFI firmware begins in an open ISO, in bytes; None where it has none."""
    record = os.pread(file, _SECTOR, _RECORD)
    if not record.startswith(_RECORD_START):
        return None
    (catalogue,) = struct.unpack_from("<I", record, 0x47)
    entries = os.pread(file, _SECTOR, catalogue * _SECTOR).ljust(_SECTOR, b"\0")
    platform = entries[1] if entries[0] == _VALIDATION else None
    for at in range(_ENTRY, _SECTOR, _ENTRY):
        entry = entries[at : at + _ENTRY]
        if entry[0] in (_SECTION, _LAST_SECTION):
            platform = entry[1]
        elif entry[0] == _BOOTABLE and platform == _EFI:
            return int(struct.unpack_from("<I", entry, 8)[0]) * _SECTOR
    return None


def _unknown(iso: Iso, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"{iso.source} cannot be started without a key being pressed: {why}", hint=_AS_PUBLISHED
    )
