"""Compares a volume with what a layer's writer put into it, by readers that share no code with ours."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from tests.unit.disks.fsntfs_reader import Listed, listed, names_in
from tests.unit.disks.ntfs_reader import Found, VolumeReader
from tests.unit.layers.written import EPOCH, FOLDER, Times, Written

STORED = 0x3FF7
"""The Win32 attributes that a file's own record holds; that it is a folder is said elsewhere."""


def confirm(
    disk: Path, scratch: Path, volume: Mapping[str, Written], *, beside: Collection[str] = ()
) -> None:
    """Assert that the disk's volume is ``volume``: every name, byte, stream, descriptor, time and link.

    ``disk`` is an image that qemu-img reads, with an NTFS volume from its first
    byte on; ``scratch`` is a folder for a copy of it. ``beside`` are the names in
    the root that the disk had before and that are nobody's business.
    """
    raw = scratch / "confirmed.raw"
    try:
        by_dissect = VolumeReader(disk, raw, beside=beside).found
        sound(raw)
        by_libfsntfs = listed(raw, beside=beside)
    finally:
        raw.unlink(missing_ok=True)
    assert sorted(by_dissect) == sorted(volume)
    assert sorted(by_libfsntfs) == sorted(volume)
    wrong = [
        f"{path}: {what} by {reader}: {shown(found)}, not {shown(wanted)}"
        for path, written in volume.items()
        for reader, compared in (
            ("dissect.ntfs", by_record(by_dissect[path], written)),
            ("libfsntfs", by_index(by_libfsntfs[path], written)),
        )
        for what, (found, wanted) in compared.items()
        if found != wanted
    ]
    assert not wrong, "\n".join(wrong)
    for found in (by_dissect, by_libfsntfs):
        numbers = {path: found[path].number for path in volume}
        assert named_alike(numbers) == {written.same_as for written in volume.values() if written.same_as}


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-100:]} ({len(text)} characters)"


def sound(raw: Path) -> None:
    """Ask ntfsinfo, which mounts the volume, for its state."""
    found = subprocess.run(["ntfsinfo", "-m", raw], capture_output=True, text=True, check=True)
    assert "Volume State: 1" not in found.stdout
    assert "dirty" not in found.stdout.lower()


def by_record(found: Found, written: Written) -> dict[str, tuple[object, object]]:
    """What dissect.ntfs found beside what was written. What a layer leaves open has to be there at all."""
    created, modified, changed, accessed = (EPOCH + nanoseconds // 100 for nanoseconds in found.times)
    times = Times(created, modified, changed, accessed)
    return {
        "folder": (found.is_directory, bool(written.attributes & FOLDER)),
        "data": (found.data, written.data),
        "streams": (found.streams, dict(written.streams)),
        "attributes": (found.attributes & STORED, written.attributes & STORED & ~FOLDER),
        "times": (times, written.times or times),
        "security": (found.security, written.security or found.security or "a descriptor"),
        "reparse": (found.reparse, written.reparse),
        "extended attributes": (extended_attributes(found.extended), dict(written.extended)),
    }


def by_index(found: Listed, written: Written) -> dict[str, tuple[object, object]]:
    """The same for libfsntfs, and that folders' indexes, which Windows lists, say what the files do."""
    times = Times(*found.times)
    return {
        "folder": (found.is_directory, bool(written.attributes & FOLDER)),
        "data": (found.data, written.data),
        "streams": (found.streams, dict(written.streams)),
        "attributes": (found.attributes & STORED, written.attributes & STORED & ~FOLDER),
        "times": (times, written.times or times),
        "link": (found.reparse, names_in(written.reparse) if written.reparse else None),
        "indexed attributes": (found.indexed_attributes & STORED, found.attributes & STORED),
        "indexed times": (found.indexed_times, found.times),
    }


def extended_attributes(stored: bytes) -> dict[str, bytes]:
    """A FILE_FULL_EA_INFORMATION list ([MS-FSCC] 2.4.15) as NTFS stores it."""
    found = {}
    at = 0
    while at < len(stored):
        length, _, name_length, value_length = struct.unpack_from("<IBBH", stored, at)
        value_at = at + 9 + name_length
        found[stored[at + 8 : value_at - 1].decode("ascii")] = stored[value_at : value_at + value_length]
        at += length
    return found


def named_alike(numbers: Mapping[str, int]) -> set[frozenset[str]]:
    """The groups of names that stand for one file."""
    groups: dict[int, set[str]] = {}
    for path, number in numbers.items():
        groups.setdefault(number, set()).add(path)
    return {frozenset(names) for names in groups.values() if len(names) > 1}
