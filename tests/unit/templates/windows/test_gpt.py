"""Partition tables that sgdisk does not write, and somebody else may."""

from __future__ import annotations

import struct
import zlib
from uuid import UUID, uuid4

import pytest

from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.templates.windows import gpt

MIB = 1 << 20
SIZE = 64 * MIB
POOL = UUID("e75caf8f-f680-4cee-afa3-b001e56efc2d")


def table(*entries: tuple[UUID, int, int], entry_size: int = 128, count: int = 128, copy: int = 0) -> bytes:
    """A disk's beginning with entries of kind, first and last sector; both checksums are right."""
    listed = b"".join(
        struct.pack("<16s16sQQ", kind.bytes_le, uuid4().bytes_le, first, last).ljust(entry_size, b"\0")
        for kind, first, last in entries
    ).ljust(entry_size * min(count, 1024), b"\0")
    head = struct.pack(
        "<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, 1, copy or SIZE // 512 - 1, 34,
        SIZE // 512 - 34, uuid4().bytes_le, 2, count, entry_size, zlib.crc32(listed),
    )  # fmt: skip
    head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
    return (bytes(512) + head.ljust(512, b"\0") + listed).ljust(MIB, b"\0")


def refused(head: bytes, size: int = SIZE) -> LinwinError:
    with pytest.raises(LinwinError) as caught:
        gpt.partitions(head, size, "it")
    return caught.value


def test_partitions_are_in_order_of_their_places_with_their_own_numbers() -> None:
    found = gpt.partitions(
        table((gpt.BASIC_DATA, 8192, 16383), (gpt.EFI_SYSTEM, 2048, 8191), entry_size=256), SIZE, "it"
    )
    assert [(part.number, part.kind, part.start, part.size) for part in found] == [
        (2, gpt.EFI_SYSTEM, MIB, 3 * MIB),
        (1, gpt.BASIC_DATA, 4 * MIB, 4 * MIB),
    ]


@pytest.mark.parametrize(
    ("head", "kind", "message"),
    [
        (
            table((gpt.BASIC_DATA, 2048, 9000), (gpt.BASIC_DATA, 9000, 9999)),
            InvalidRequest,
            "it has partitions that overlap",
        ),
        (table((gpt.BASIC_DATA, 9000, 8000)), InvalidRequest, "the partition table of it is damaged"),
        (table(entry_size=64), InvalidRequest, "the partition table of it is damaged"),
        (table(count=1 << 20), InvalidRequest, "the partition table of it is damaged"),
        (
            table((gpt.BASIC_DATA, 2048, 1 << 40)),
            InvalidRequest,
            "it is cut short: its partition table is for 524288.00 GiB, and 0.06 GiB are there",
        ),
        (
            table(copy=1 << 21),
            InvalidRequest,
            "it is cut short: its partition table is for 1.00 GiB, and 0.06 GiB are there",
        ),
        (
            table((POOL, 2048, 9000)),
            Unsupported,
            "it is part of a storage pool, whose volumes Windows alone can put together",
        ),
    ],
)
def test_what_cannot_be_is_told(head: bytes, kind: type[LinwinError], message: str) -> None:
    error = refused(head)
    assert isinstance(error, kind)
    assert error.message == message


@pytest.mark.parametrize("length", [0, 511, 512, 520, 604, 1024, 17407])
def test_a_beginning_that_ends_too_soon_is_told(length: int) -> None:
    head = table((gpt.BASIC_DATA, 2048, 9000))[:length]
    assert refused(head).message in (
        "it is no disk: it has no partition table",
        "the partition table of it is damaged",
    )
