"""What a Windows layer consists of, once read.

Paths are relative to ``C:\\``, or to the utility VM's where its entries were
asked for: components joined by ``/``, checked (see :mod:`linwin.layers.names`),
no ``..``, no empty or reserved component. The empty path is the root itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from linwin.layers.names import Area

FILE_ATTRIBUTE_DIRECTORY = 0x10


class Content(Protocol):
    """The bytes of one entry, readable until the next entry is asked for."""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes, at least one unless the content has ended."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What NTFS keeps about a file beside its name and data.

    ``attributes`` are Win32 FILE_ATTRIBUTE bits. Times are FILETIMEs: 100 ns
    since 1601. ``security`` is a self-relative security descriptor, None to
    inherit the parent's. ``extended`` are the extended attributes by name.
    """

    attributes: int
    created: int
    modified: int
    changed: int
    accessed: int
    security: bytes | None = None
    extended: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Directory:
    path: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class File:
    """A file with ``size`` bytes of ``content``."""

    path: str
    metadata: Metadata
    size: int
    content: Content


@dataclass(frozen=True, slots=True)
class ReparsePoint:
    """A symbolic link or junction; ``data`` is its REPARSE_DATA_BUFFER."""

    path: str
    metadata: Metadata
    data: bytes

    @property
    def is_directory(self) -> bool:
        return bool(self.metadata.attributes & FILE_ATTRIBUTE_DIRECTORY)


@dataclass(frozen=True, slots=True)
class HardLink:
    """One more name, ``path``, of the file at ``target``, maybe a lower layer's.

    ``area`` is where the target lies, FILES or UTILITY_VM; its path is relative to the ``Files`` there.
    """

    path: str
    target: str
    area: Area = Area.FILES


@dataclass(frozen=True, slots=True)
class AlternateStream:
    """``size`` bytes for the data stream ``stream`` of the file or directory at ``path``."""

    path: str
    stream: str
    size: int
    content: Content


@dataclass(frozen=True, slots=True)
class Whiteout:
    """Removes what lower layers have at ``path``."""

    path: str


@dataclass(frozen=True, slots=True)
class OpaqueWhiteout:
    """Removes all that lower layers have inside the directory at ``path``."""

    path: str


@dataclass(frozen=True, slots=True)
class HiveDelta:
    """A registry delta, ``Hives/<name>``, of ``size`` bytes."""

    name: str
    size: int
    content: Content


Entry = Directory | File | ReparsePoint | HardLink | AlternateStream | Whiteout | OpaqueWhiteout | HiveDelta
