"""A hive's base block: the first 4,096 bytes of its file.

Format: msuhanov/regf, "Windows registry file format specification".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from linwin.layers.errors import Malformed
from linwin.layers.hives.storage import Readable, Writable

SIZE = 4096
"""Bytes of the base block. Offsets in a hive count from its end."""
PAGE = 4096
"""What the sizes of hive bins are multiples of."""
NONE = 0xFFFFFFFF
"""An offset that leads nowhere."""
LARGEST = 0x7FFFF000
"""Bytes that the bins of a hive may fill; from here on offsets mean volatile cells."""

CHECKED = 508
LAYERED_KEYS = 0x2
PREFIX = struct.Struct("<4sII8xIIIIII")
SEQUENCES, WRITTEN, DATA_SIZE, CLUSTERING, FLAGS = 4, 12, 40, 44, 0x90
MINOR_OF_LAYERED = 6


@dataclass(frozen=True, slots=True)
class BaseBlock:
    """What a reader needs of a base block. ``root`` is the root key's cell."""

    minor: int
    root: int
    data_size: int
    sequence: int
    layered: bool


def read_base_block(file: Readable) -> BaseBlock:
    """Read and check a base block. Raises Malformed."""
    if file.size < SIZE + PAGE:
        raise Malformed(f"{file.size} bytes are too few for a registry hive")
    block = file.read(0, SIZE)
    signature, first, second, major, minor, kind, format_, root, data_size = PREFIX.unpack_from(block)
    if signature != b"regf":
        raise Malformed("it is not a registry hive")
    if (major, kind, format_) != (1, 0, 1) or not 3 <= minor <= 6:
        raise Malformed(f"its version {major}.{minor}, type {kind}, format {format_} is not known")
    if checksum(block) != struct.unpack_from("<I", block, CHECKED)[0]:
        raise Malformed("the checksum of its header is wrong")
    if first != second:
        raise Malformed("it was not written to its end: its sequence numbers differ")
    if not data_size or data_size % PAGE or data_size > min(file.size - SIZE, LARGEST):
        raise Malformed(f"its header claims {data_size} bytes of data, which its file cannot have")
    flags = struct.unpack_from("<I", block, FLAGS)[0]
    return BaseBlock(minor, root, data_size, second, bool(flags & LAYERED_KEYS))


def write_base_block(file: Writable, sequence: int, data_size: int) -> None:
    """Record that the hive was changed, and how large it is now."""
    block = bytearray(file.read(0, CHECKED))
    struct.pack_into("<II", block, SEQUENCES, sequence, sequence)
    struct.pack_into("<I", block, DATA_SIZE, data_size)
    file.write(0, bytes(block) + struct.pack("<I", checksum(block)))


def new_base_block(root: int, data_size: int, written: int) -> bytes:
    """The base block of a new hive with layered keys. ``written`` is a FILETIME."""
    block = bytearray(SIZE)
    PREFIX.pack_into(block, 0, b"regf", 1, 1, 1, MINOR_OF_LAYERED, 0, 1, root, data_size)
    struct.pack_into("<Q", block, WRITTEN, written)
    struct.pack_into("<I", block, CLUSTERING, 1)
    struct.pack_into("<I", block, FLAGS, LAYERED_KEYS)
    struct.pack_into("<I", block, CHECKED, checksum(block))
    return bytes(block)


def checksum(block: bytes | bytearray) -> int:
    """The exclusive or of the words before the checksum; two results are replaced by others."""
    value = 0
    for word in struct.unpack_from(f"<{CHECKED // 4}I", block):
        value ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(value, value)
