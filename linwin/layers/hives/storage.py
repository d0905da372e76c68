"""What a hive's bytes are read from and written to."""

from __future__ import annotations

from typing import Protocol


class Readable(Protocol):
    """The bytes of a file, anywhere in it."""

    @property
    def size(self) -> int:
        """Bytes of the file."""

    def read(self, at: int, size: int) -> bytes:
        """Exactly ``size`` bytes from ``at`` on; both are within the file."""


class Writable(Readable, Protocol):
    """Bytes that can be changed where they are."""

    def write(self, at: int, data: bytes) -> None:
        """Overwrite bytes; what lies beyond the end makes the file longer. ``at`` is within it."""


class InMemory:
    """A file's bytes in memory, as a Readable."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read(self, at: int, size: int) -> bytes:
        return self.data[at : at + size]
