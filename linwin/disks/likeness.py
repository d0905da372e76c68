"""How much a file or folder is as it was, of all that a layer tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum, auto

from linwin.disks.volume import Volume
from linwin.layers import FILE_ATTRIBUTE_DIRECTORY, Metadata

PIECE = 1 << 20
FILE_ATTRIBUTE_REPARSE_POINT = 0x400
FILE_ATTRIBUTE_ENCRYPTED = 0x4000
REPEATED_FLAGS = 0x30000000
"""FILE_ATTR_DUP_*_INDEX_PRESENT, which ntfs3 sets where ntfs-3g does not: no attributes of Windows."""


class Likeness(Enum):
    """SAME is also what was looked at, or given a name more. TIMES is a folder that got or lost a name."""

    SAME = auto()
    TIMES = auto()
    OTHER = auto()


def likeness(old: Volume, new: Volume, number: int) -> Likeness:
    """Compare what has the same number on two volumes, names aside. Reads as far as the first difference."""
    (was, old_size), (is_, new_size) = details(old, number), details(new, number)
    if is_.attributes & FILE_ATTRIBUTE_ENCRYPTED:
        return Likeness.OTHER  # nobody but Windows can tell
    # What was looked at, and what only its record says, is nothing that a layer is written for.
    was = replace(was, changed=is_.changed, accessed=is_.accessed)
    if old_size != new_size or replace(was, modified=is_.modified) != is_:
        return Likeness.OTHER
    if was.modified != is_.modified:
        is_folder = is_.attributes & FILE_ATTRIBUTE_DIRECTORY
        return Likeness.TIMES if is_folder and same_data(old, new, number, is_) else Likeness.OTHER
    return Likeness.SAME if same_data(old, new, number, is_) else Likeness.OTHER


def details(volume: Volume, number: int) -> tuple[Metadata, int]:
    """As :meth:`Volume.details`, with attributes that Windows knows, and extended attributes in order."""
    metadata, size = volume.details(number)
    attributes = metadata.attributes & ~REPEATED_FLAGS
    return replace(metadata, attributes=attributes, extended=tuple(sorted(metadata.extended))), size


def same_data(old: Volume, new: Volume, number: int, metadata: Metadata) -> bool:
    """Whether streams, links' targets and bytes are equal, the rest being so."""
    if metadata.attributes & FILE_ATTRIBUTE_REPARSE_POINT:
        if old.reparse(number) != new.reparse(number):
            return False
    elif not metadata.attributes & FILE_ATTRIBUTE_DIRECTORY and not same_bytes(old, new, number, None):
        return False
    streams = sorted(old.streams(number))
    return streams == sorted(new.streams(number)) and all(
        same_bytes(old, new, number, name) for name, _ in streams
    )


def same_bytes(old: Volume, new: Volume, number: int, stream: str | None) -> bool:
    with opened(old, number, stream) as one, opened(new, number, stream) as other:
        return one == other and all(
            old.read_content(at, min(PIECE, one - at)) == new.read_content(at, min(PIECE, one - at))
            for at in range(0, one, PIECE)
        )


@contextmanager
def opened(volume: Volume, number: int, stream: str | None = None) -> Iterator[int]:
    """Open a file's bytes, or those of one of its streams; yields how many they are."""
    length = volume.open_content(number) if stream is None else volume.open_stream(number, stream)
    try:
        yield length
    finally:
        volume.close_content()
