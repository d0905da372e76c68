"""The little that linwin itself knows of the qcow2 format.

Format: QEMU, docs/interop/qcow2.txt, "Header".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Internal
from linwin.host.process import run

MAGIC = b"QFI\xfb"
# magic, version, backing file offset and length, cluster bits, virtual size
HEADER = struct.Struct(">4sIQIIQ")
LONGEST_NAME = 1023


@dataclass(frozen=True, slots=True)
class Header:
    """``size`` is the virtual disk's in bytes, ``backing`` the backing file as the header names it."""

    size: int
    backing: str | None


def read_header(path: Path) -> Header:
    """Read a qcow2 file's header. Raises Internal when it is not one, and OSError."""
    with path.open("rb") as file:
        block = file.read(HEADER.size)
        if len(block) < HEADER.size or not block.startswith(MAGIC):
            raise Internal(f"{path} is not a qcow2 file")
        _, _, offset, length, _, size = HEADER.unpack(block)
        if not offset:
            return Header(size, None)
        if length > LONGEST_NAME:
            raise Internal(f"the header of {path} is damaged")
        file.seek(offset)
        return Header(size, file.read(length).decode())


async def create_overlay(path: Path, *, backing: str, size: int) -> None:
    """Create an empty overlay whose header names ``backing``, relative to the overlay's folder.

    The backing file is not looked at. Raises Unavailable in qemu-img's own words.
    """
    # fmt: off
    await run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "qcow2", "-b", backing, path, str(size)],
        check=True,
    )
    # fmt: on
