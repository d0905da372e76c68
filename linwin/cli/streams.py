"""A container's output on our own stdout and stderr: every byte, unbuffered, in order."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


def write_output(pieces: Iterable[tuple[str, bytes]]) -> None:
    """Write (``stdout`` or ``stderr``, bytes) until the output ends."""
    sys.stdout.flush()
    for stream, data in pieces:
        write_all(_DESCRIPTORS[stream], data)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, also to a pipe that another process made non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
