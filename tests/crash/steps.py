"""Counts a daemon's steps, in memory that it shares with the test (see ``in_daemon/sitecustomize.py``)."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

COUNT_AND_LIMIT = struct.Struct("<qq")
"""How many steps the daemon has made, and at which it dies; 0 is never."""

HOOK = Path(__file__).parent / "in_daemon"


class Steps:
    """The test's side."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(COUNT_AND_LIMIT.size))
        self.file = file
        self._memory = shared(str(file))

    @property
    def count(self) -> int:
        """Steps since the last :meth:`begin`."""
        return int(COUNT_AND_LIMIT.unpack_from(self._memory)[0])

    def begin(self, limit: int = 0) -> None:
        """Count from 0; let the daemon die before it makes the step ``limit``."""
        COUNT_AND_LIMIT.pack_into(self._memory, 0, 0, limit)


def shared(file: str) -> mmap.mmap:
    with open(file, "r+b") as opened:
        return mmap.mmap(opened.fileno(), COUNT_AND_LIMIT.size)
