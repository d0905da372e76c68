"""A picture of a machine's screen: a PNG that QEMU wrote to an open file."""

from __future__ import annotations

import os

from linwin.errors import Unavailable

LARGEST = 16 << 20
"""Bytes of the longest picture: no more than the video RAM from which it is made."""

# PNG specification (third edition), 5.2 and 5.3: a signature, then chunks of length, type, data and CRC.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER, _CRC = 8, 4
_LAST_CHUNK = b"IEND"


def whole_picture(file: int) -> bytes:
    """The PNG that an open file holds. Raises Unavailable for anything else, OSError."""
    size = os.fstat(file).st_size
    data = os.pread(file, size, 0) if size <= LARGEST else b""
    end, kind = len(_SIGNATURE), b""
    while data.startswith(_SIGNATURE) and kind != _LAST_CHUNK and end < len(data):
        length, kind = int.from_bytes(data[end : end + 4], "big"), data[end + 4 : end + _HEADER]
        end += _HEADER + length + _CRC
    if kind != _LAST_CHUNK or end != len(data):
        raise Unavailable("QEMU did not make a picture of the screen", hint="Try once more.")
    return data
