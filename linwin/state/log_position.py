"""How much of a start's output is logged, on disk beside the log.

The output that a guest still keeps is what lies behind these numbers, so they
must outlive the daemon and the rotation of the log. A position names a place in
one of the log's files and what had come before it; what the file holds behind
that place is counted when it is needed. It is written at every start and
rotation, and now and then between, by one write that is there whole or not at all.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_FORM = struct.Struct(">8s5Q")
_MAGIC = b"linwin1\n"


@dataclass(frozen=True, slots=True)
class Position:
    """``stdout`` and ``stderr`` bytes of start ``start`` lie before ``offset`` of the file ``inode``."""

    start: int
    inode: int
    offset: int
    stdout: int
    stderr: int


class PositionFile:
    """The file that holds one container's position."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def read(self) -> Position | None:
        """None where there is none, or something else. Raises OSError."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if len(data) != _FORM.size or not data.startswith(_MAGIC):
            return None
        return Position(*_FORM.unpack(data)[1:])

    def write(self, position: Position) -> None:
        """Replace it. Raises OSError."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fields = position.start, position.inode, position.offset, position.stdout, position.stderr
        os.pwrite(self._fd, _FORM.pack(_MAGIC, *fields), 0)

    def close(self) -> None:
        """Idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
