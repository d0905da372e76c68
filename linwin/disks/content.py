"""Bytes of a layer's entry → a stream on the volume."""

from __future__ import annotations

import errno

from linwin.disks.volume import Volume, VolumeError
from linwin.layers import Content

PIECE = 1 << 20
"""Bytes that are read of a file before it is created, so small files take one call."""


class Refused(Exception):
    """An entry cannot be applied. The message completes ``layer X, entry Y: …``."""


def check_size(volume: Volume, size: int, what: str) -> None:
    """Refuse what cannot fit before any of it is written. Raises Refused."""
    if size > volume.size:
        raise Refused(f"a {what} of {size} bytes is larger than the whole volume")


def beginning(content: Content, size: int) -> bytes:
    """The first bytes of a content: all, or a piece."""
    wanted = min(size, PIECE)
    data = content.read(wanted) if wanted else b""
    while len(data) < wanted:
        data += content.read(wanted - len(data))
    return data


def write_rest(volume: Volume, content: Content, written: int, size: int) -> None:
    """Write what follows the first ``written`` bytes of a file or stream that was just created."""
    if written == size:
        return
    while data := content.read(PIECE):
        volume.append(data)
    volume.finish()


def write_stream(volume: Volume, number: int, stream: str, size: int, content: Content) -> None:
    """Create or replace a stream of a file; "" is the unnamed one. Raises Refused."""
    check_size(volume, size, "stream" if stream else "file")
    head = beginning(content, size)
    try:
        volume.create_stream(number, stream, head, size)
    except VolumeError as error:
        if error.errno != errno.ERANGE:
            raise
        # NTFS lists a file's attributes in 256 KiB at most.
        raise Refused("a file cannot have that many streams") from error
    write_rest(volume, content, len(head), size)
