"""Reads the volume at the end of a chain with dissect.ntfs, which shares no code with its writer."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dissect.ntfs import NTFS

STANDARD_INFORMATION, FILE_NAME, DATA, REPARSE_POINT, EA = 0x10, 0x30, 0x80, 0xC0, 0xE0
SECURITY_DESCRIPTOR = 0x50
IN_USE = 1
LONGEST_HEAD = 72
"""Bytes of the longest head that an attribute may have."""


@dataclass(frozen=True)
class Found:
    """One name on the volume. Times are nanoseconds since 1970: created, modified, changed, accessed."""

    path: str
    number: int
    is_directory: bool
    data: bytes
    streams: dict[str, bytes]
    attributes: int
    times: tuple[int, int, int, int]
    security: bytes | None
    reparse: bytes
    extended: bytes


class VolumeReader:
    """All names below the root that are not the volume's own, by path; ``beside`` are left out."""

    def __init__(self, disk: Path, raw: Path, *, beside: Collection[str] = ()) -> None:
        subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
        checked = subprocess.run(["ntfsfix", "-n", raw], capture_output=True, text=True, check=False)
        assert "was processed successfully" in checked.stdout, checked.stdout + checked.stderr
        with raw.open("rb") as file:
            ntfs = NTFS(file)
            self._descriptors = Descriptors(ntfs)
            self._beside = beside
            self.found = {found.path: found for found in self._walk(ntfs.mft.root, "")}

    def __getitem__(self, path: str) -> Found:
        return self.found[path]

    def __contains__(self, path: str) -> bool:
        return path in self.found

    def names(self) -> set[str]:
        return set(self.found)

    def files(self) -> dict[str, bytes]:
        return {found.path: found.data for found in self.found.values() if not found.is_directory}

    def _walk(self, directory: Any, prefix: str) -> Iterator[Found]:
        for entry in directory.iterdir():
            name, record = entry.attribute.file_name, entry.dereference()
            # dissect.ntfs reads more of an attribute's head than a short one has, and stops at the end.
            record.data = bytes(record.data) + bytes(LONGEST_HEAD)
            if record.segment < 24 or name == "." or not has_name(record, directory, name):
                continue
            path = prefix + name
            if path in self._beside:
                continue
            found = self._read(path, record)
            yield found
            if found.is_directory and not found.reparse:
                yield from self._walk(record, path + "/")

    def _read(self, path: str, record: Any) -> Found:
        streams = {
            name: record.open(name).read()
            for name in {attribute.name for attribute in record.attributes[DATA]}
        }
        information = record.attributes[STANDARD_INFORMATION][0].attribute
        times = (
            information.creation_time_ns,
            information.last_modification_time_ns,
            information.last_change_time_ns,
            information.last_access_time_ns,
        )
        return Found(
            path,
            record.segment,
            record.is_dir(),
            streams.pop("", b""),
            streams,
            information.file_attributes,
            times,
            self._descriptors.get(information.attr.SecurityId) or value(record, SECURITY_DESCRIPTOR) or None,
            value(record, REPARSE_POINT),
            value(record, EA),
        )


def has_name(record: Any, directory: Any, name: str) -> bool:
    """Whether a record agrees that it has this name: dissect.ntfs also lists an index's freed blocks."""
    return bool(record.header.Flags & IN_USE) and any(
        (names.attribute.attr.ParentDirectory.SegmentNumberLowPart, names.attribute.file_name)
        == (directory.segment, name)
        for names in record.attributes[FILE_NAME]
    )


def value(record: Any, kind: int) -> bytes:
    return record.open("", kind).read() if record.has_stream("", kind) else b""


class Descriptors:
    """$Secure: descriptors by id, through the index that Windows uses, and checked as Windows would."""

    MIRROR = 0x40000
    """Every block of as many bytes in $SDS has its copy right behind it."""

    def __init__(self, ntfs: NTFS) -> None:
        secure = ntfs.mft.get("$Secure")
        self._data = secure.open("$SDS").read()
        self._index = secure.index("$SII")
        self._found: dict[int, bytes] = {}

    def get(self, number: int) -> bytes | None:
        """None for 0: a file has a descriptor of its own then, or none."""
        if number == 0:
            return None
        if number not in self._found:
            header = bytes(self._index.search(number).data)
            _, named, at, length = struct.unpack("<IIQI", header)
            stored = self._data[at : at + length]
            assert named == number
            assert stored[:20] == header
            assert struct.pack("<I", hashed(stored[20:])) == header[:4]
            assert self._data[at + self.MIRROR : at + self.MIRROR + length] == stored
            self._found[number] = stored[20:]
        return self._found[number]


def hashed(descriptor: bytes) -> int:
    """The hash by which $SDH finds a descriptor: of its words, rotated by three and added."""
    value = 0
    for (word,) in struct.iter_unpack("<I", descriptor):
        value = (word + ((value << 3 | value >> 29) & 0xFFFFFFFF)) & 0xFFFFFFFF
    return value
