"""The little that linwin itself knows of the qcow2 format.

Format: QEMU, docs/interop/qcow2.txt, "Header".
"""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from linwin.errors import Internal
from linwin.host.process import run

MAGIC = b"QFI\xfb"
# magic, version, backing file offset and length, cluster bits, virtual size
HEADER = struct.Struct(">4sIQIIQ")
VERSION_3 = 3
FEATURES_AT = 72
FEATURES = struct.Struct(">Q")
LONGEST_NAME = 1023
MOST_KEPT = 16
"""Empty overlays that are remembered, 130 kB each: as many images as a host starts by turns."""

DIRTY, CORRUPT, EXTERNAL_DATA = 1, 2, 4
"""Incompatible features that a finished file of linwin's has no business with."""


@dataclass(frozen=True, slots=True)
class Header:
    """``size`` is the virtual disk's in bytes, ``backing`` the backing file as the header names it.

    ``features`` are the incompatible ones.
    """

    size: int
    backing: str | None
    features: int = 0


def read_header(path: Path) -> Header:
    """Read a qcow2 file's header. Raises Internal when it is not one, and OSError."""
    with path.open("rb") as file:
        block = file.read(FEATURES_AT + FEATURES.size)
        if len(block) < HEADER.size or not block.startswith(MAGIC):
            raise Internal(f"{path} is not a qcow2 file")
        _, version, offset, length, _, size = HEADER.unpack_from(block)
        features = 0
        if version >= VERSION_3:
            if len(block) < FEATURES_AT + FEATURES.size:
                raise Internal(f"the header of {path} is damaged")
            (features,) = FEATURES.unpack_from(block, FEATURES_AT)
        if not offset:
            return Header(size, None, features)
        if length > LONGEST_NAME:
            raise Internal(f"the header of {path} is damaged")
        file.seek(offset)
        return Header(size, decoded(file.read(length), path), features)


def decoded(name: bytes, path: Path) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise Internal(f"the header of {path} is damaged") from error


async def written_parts(path: Path) -> tuple[tuple[int, int], ...]:
    """Start and length, in bytes of the virtual disk, of what an overlay holds itself, in their order.

    Raises Unavailable in qemu-img's own words.
    """
    done = await run(["qemu-img", "map", "-f", "qcow2", "--output=json", path], check=True)
    return tuple((part["start"], part["length"]) for part in json.loads(done.stdout) if part["depth"] == 0)


class Overlays:
    """Creates empty overlays. Those of one backing file are the same bytes: qemu-img is asked once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], tuple[bytes, int]] = {}

    async def create(self, path: Path, *, backing: str, size: int) -> None:
        """As :func:`create_overlay`. Raises OSError too."""
        made = self._made.get((backing, size))
        if made is None:
            await create_overlay(path, backing=backing, size=size)
            self._keep(backing, size, await asyncio.to_thread(path.read_bytes))
        else:
            _write(path, *made)  # in no thread: one whose waiter is cancelled would make it all the same

    def _keep(self, backing: str, size: int, content: bytes) -> None:
        if len(self._made) == MOST_KEPT:
            del self._made[next(iter(self._made))]
        self._made[backing, size] = content.rstrip(b"\0"), len(content)


def _write(path: Path, content: bytes, length: int) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.truncate(length)


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
