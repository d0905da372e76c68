"""Reads a volume with libfsntfs: a second opinion, of another family than dissect.ntfs and libntfs-3g.

It gives no extended attribute's bytes, and no descriptor once ``$SII`` has more
than one node. It alone shows what a folder's index says of the files in it,
which is what Windows lists.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyfsntfs

NUMBER = (1 << 48) - 1
REPARSE_POINT = 0xC0
FIRST_OF_USERS = 24


@dataclass(frozen=True)
class Listed:
    """One name. Times are FILETIMEs: created, modified, changed, accessed."""

    path: str
    number: int
    is_directory: bool
    data: bytes
    streams: dict[str, bytes]
    attributes: int
    times: tuple[int, int, int, int]
    indexed_attributes: int
    indexed_times: tuple[int, int, int, int]
    reparse: tuple[int, str, str] | None
    """Tag, substitute name, print name."""


def as_raw(disk: Path, raw: Path) -> Path:
    """A copy that has the volume at its first byte."""
    subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
    return raw


def listed(raw: Path, *, beside: Collection[str] = ()) -> dict[str, Listed]:
    """All names below the root that are not the volume's own, by path; ``beside`` are left out."""
    volume = pyfsntfs.volume()
    volume.open(str(raw))
    try:
        return {found.path: found for found in walk(volume.get_root_directory(), "", beside)}
    finally:
        volume.close()


def root_names(raw: Path) -> frozenset[str]:
    """The names in the root that are not the volume's own."""
    volume = pyfsntfs.volume()
    volume.open(str(raw))
    try:
        folder = volume.get_root_directory()
        entries = (folder.get_sub_file_entry(at) for at in range(folder.number_of_sub_file_entries))
        return frozenset(
            canonical(entry.name) for entry in entries if entry.file_reference & NUMBER >= FIRST_OF_USERS
        )
    finally:
        volume.close()


def walk(folder: Any, prefix: str, beside: Collection[str] = ()) -> Iterator[Listed]:
    for position in range(folder.number_of_sub_file_entries):
        entry = folder.get_sub_file_entry(position)
        if entry.file_reference & NUMBER < FIRST_OF_USERS:
            continue
        if prefix + canonical(entry.name) in beside:
            continue
        found = read(entry, prefix)
        yield found
        if found.is_directory and found.reparse is None:
            yield from walk(entry, found.path + "/")


def read(entry: Any, prefix: str) -> Listed:
    return Listed(
        prefix + canonical(entry.name),
        entry.file_reference & NUMBER,
        entry.has_directory_entries_index(),
        content(entry) if entry.has_default_data_stream() else b"",
        {stream.name: content(stream) for stream in entry.alternate_data_streams},
        entry.file_attribute_flags,
        (
            entry.get_creation_time_as_integer(),
            entry.get_modification_time_as_integer(),
            entry.get_entry_modification_time_as_integer(),
            entry.get_access_time_as_integer(),
        ),
        entry.get_i30_file_attribute_flags(),
        (
            entry.get_i30_creation_time_as_integer(),
            entry.get_i30_modification_time_as_integer(),
            entry.get_i30_entry_modification_time_as_integer(),
            entry.get_i30_access_time_as_integer(),
        ),
        link(entry),
    )


def canonical(name: str) -> str:
    """The same characters as Python would keep them: libfsntfs's strings with surrogates equal no other."""
    return name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def content(stream: Any) -> bytes:
    size = stream.get_size()
    return bytes(stream.read_buffer(size)) if size else b""


def link(entry: Any) -> tuple[int, str, str] | None:
    for attribute in entry.attributes:
        if attribute.attribute_type == REPARSE_POINT:
            return attribute.tag, attribute.substitute_name, attribute.print_name
    return None


def names_in(reparse: bytes) -> tuple[int, str, str]:
    """Tag, substitute name and print name of a REPARSE_DATA_BUFFER."""
    tag, _, _, s_at, s_length, p_at, p_length = struct.unpack_from("<IHHHHHH", reparse)
    names = reparse[16 if tag == 0xA0000003 else 20 :]
    return (
        tag,
        names[s_at : s_at + s_length].decode("utf-16-le"),
        names[p_at : p_at + p_length].decode("utf-16-le"),
    )
