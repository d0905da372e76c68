"""A picture of a machine's screen: a PNG, whole, or what becomes one."""

from __future__ import annotations

import os
import re
import struct
import zlib

from linwin.errors import Unavailable

LARGEST = 16 << 20
"""Bytes of the longest picture: no more than the video RAM from which it is made."""

LARGEST_RAW = 3 * LARGEST
"""The same of one that is not packed."""

_PPM = re.compile(rb"P6\s+(\d{1,5})\s+(\d{1,5})\s+255\s")

# PNG specification (third edition), 5.2 and 5.3: a signature, then chunks of length, type, data and CRC.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER, _CRC = 8, 4
_LAST_CHUNK = b"IEND"


def whole_picture(file: int) -> bytes:
    """The PNG that an open file holds. Raises Unavailable for anything else, OSError."""
    size = os.fstat(file).st_size
    return _whole(os.pread(file, size, 0) if size <= LARGEST else b"")


def as_png(data: bytes) -> bytes:
    """A PNG that is whole, of one or of a PPM, which older QEMUs know alone. Raises Unavailable."""
    return _whole(_from_ppm(data) if data.startswith(b"P6") else data if len(data) <= LARGEST else b"")


def _from_ppm(data: bytes) -> bytes:
    """Of a portable pixmap with a byte for each colour (ppm(5)); empty for what is none."""
    header = _PPM.match(data)
    if header is None:
        return b""
    width, height = int(header[1]), int(header[2])
    rows = memoryview(data)[header.end() :]
    if not width or not height or len(rows) != width * height * 3:
        return b""
    lines = b"".join(b"\0" + rows[at : at + width * 3] for at in range(0, len(rows), width * 3))
    shape = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # eight bits, colours, no tricks
    chunks = ((b"IHDR", shape), (b"IDAT", zlib.compress(lines)), (_LAST_CHUNK, b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _whole(data: bytes) -> bytes:
    end, kind = len(_SIGNATURE), b""
    while data.startswith(_SIGNATURE) and kind != _LAST_CHUNK and end < len(data):
        length, kind = int.from_bytes(data[end : end + 4], "big"), data[end + 4 : end + _HEADER]
        end += _HEADER + length + _CRC
    if kind != _LAST_CHUNK or end != len(data):
        raise Unavailable("QEMU did not make a picture of the screen", hint="Try once more.")
    return data
