"""The partition table of a disk: GPT, as firmware reads it. Pure, and strict with what is from outside.

Format: UEFI Specification 2.10, 5.3 "GUID Partition Table (GPT) Disk Layout".
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from linwin.errors import InvalidRequest, Unsupported

HEAD = 1 << 20
"""Bytes from a disk's start that hold every table that is known here."""
EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")

_SECTOR = 512
_MARK = b"EFI PART"
_MOST_ENTRIES = 1024
_ENTRY_SIZES = (128, 256, 512)
_MBR_ENTRIES, _MBR_MARK, _PROTECTIVE = 446, b"\x55\xaa", 0xEE
# Partitions that say that volumes are pieced together by Windows itself.
_POOLED = {
    UUID("5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"): "a dynamic disk",
    UUID("af9b60a0-1431-4f62-bc68-3311714a69ad"): "a dynamic disk",
    UUID("e75caf8f-f680-4cee-afa3-b001e56efc2d"): "part of a storage pool",
}
_MENDABLE = "look at it with gdisk, or make a new copy of the disk"


@dataclass(frozen=True, slots=True)
class Partition:
    """``start`` and ``size`` in bytes; ``number`` counts from 1, as Windows and sgdisk do."""

    number: int
    kind: UUID
    identifier: UUID
    start: int
    size: int


def partitions(head: bytes, size: int, name: str) -> tuple[Partition, ...]:
    """Those of a disk of ``size`` bytes that begins with ``head``, in order of their places.

    Raises InvalidRequest for a disk without a table, with another kind of table, or with a damaged one;
    Unsupported for one that Windows pieces together from several disks.
    """
    if head[_SECTOR : _SECTOR + 8] != _MARK:
        raise _without_table(head, name)
    header = _header(head, size, name)
    found = sorted(_entries(head, header, name), key=lambda partition: partition.start)
    for partition in found:
        if partition.start + partition.size > size:
            raise _cut_short(name, partition.start + partition.size, size)
        if partition.kind in _POOLED:
            raise Unsupported(
                f"{name} is {_POOLED[partition.kind]}, whose volumes Windows alone can put together",
                hint="use a basic disk",
            )
    if any(before.start + before.size > after.start for before, after in pairwise(found)):
        raise InvalidRequest(f"{name} has partitions that overlap", hint=_MENDABLE)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Header:
    entries: int  # bytes from the disk's start
    count: int
    entry_size: int
    checksum: int


def _header(head: bytes, size: int, name: str) -> _Header:
    data = head[_SECTOR : 2 * _SECTOR]
    if len(data) < _SECTOR:
        raise _damaged(name)
    length, told = struct.unpack_from("<II", data, 12)
    if not 92 <= length <= len(data):
        raise _damaged(name)
    if zlib.crc32(data[:16] + bytes(4) + data[20:length]) != told:
        raise _damaged(name)
    (copy,) = struct.unpack_from("<Q", data, 32)
    if (copy + 1) * _SECTOR > size:
        raise _cut_short(name, (copy + 1) * _SECTOR, size)
    return _Header(*_checked(struct.unpack_from("<QIII", data, 72), name))


def _checked(fields: tuple[int, ...], name: str) -> tuple[int, int, int, int]:
    sector, count, entry_size, checksum = fields
    start = sector * _SECTOR
    if count > _MOST_ENTRIES or entry_size not in _ENTRY_SIZES or start + count * entry_size > HEAD:
        raise _damaged(name)
    return start, count, entry_size, checksum


def _entries(head: bytes, header: _Header, name: str) -> list[Partition]:
    table = head[header.entries : header.entries + header.count * header.entry_size]
    if zlib.crc32(table) != header.checksum:
        raise _damaged(name)
    found = []
    for index in range(header.count):
        kind, identifier, first, last = struct.unpack_from("<16s16sQQ", table, index * header.entry_size)
        if kind == bytes(16):
            continue
        if last < first:
            raise _damaged(name)
        found.append(
            Partition(
                index + 1,
                UUID(bytes_le=kind),
                UUID(bytes_le=identifier),
                first * _SECTOR,
                (last - first + 1) * _SECTOR,
            )
        )
    return found


def _without_table(head: bytes, name: str) -> InvalidRequest:
    if head[4096:4104] == _MARK:
        return InvalidRequest(
            f"{name} has sectors of 4096 bytes, and guests have disks with sectors of 512",
            hint="install Windows on a disk with sectors of 512 bytes, as New-VHD makes them",
        )
    kinds = head[_MBR_ENTRIES + 4 : _MBR_ENTRIES + 64 : 16]
    if head[510:512] != _MBR_MARK:
        return InvalidRequest(f"{name} is no disk: it has no partition table")
    if _PROTECTIVE in kinds:
        return _damaged(name)
    if head[3:11] in (b"NTFS    ", b"-FVE-FS-"):
        return InvalidRequest(
            f"{name} is a single volume, and no disk with a partition table",
            hint="take an image of the whole disk that Windows starts from",
        )
    return InvalidRequest(
        f"{name} is partitioned with an MBR, and guests start by UEFI, from a GPT",
        hint="convert it on Windows, while it runs from it: mbr2gpt /convert /allowFullOS",
    )


def _damaged(name: str) -> InvalidRequest:
    return InvalidRequest(f"the partition table of {name} is damaged", hint=_MENDABLE)


def _cut_short(name: str, wanted: int, size: int) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is cut short: its partition table is for {wanted / 2**30:.2f} GiB, "
        f"and {size / 2**30:.2f} GiB are there",
        hint="copy or download it again",
    )
