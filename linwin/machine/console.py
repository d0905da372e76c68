"""Logs that a guest can write to: bounded on disk, harmless on a terminal."""

from __future__ import annotations

import os
import re
from pathlib import Path

from linwin.host.files import tail

LIMIT = 1 << 20
"""Bytes that a log may reach before its beginning is cut off."""

_KEPT = 64 << 10
_LONGEST_LINE = 500
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")  # ECMA-48, 5.3 and 5.4


def last_lines(path: Path, count: int) -> tuple[str, ...]:
    """The last ``count`` lines of a log that are not blank, as printable text."""
    text = _ESCAPES.sub(b"", tail(path, _KEPT)).decode(errors="replace")
    lines = (_printable(line) for line in text.splitlines())
    return tuple([line for line in lines if line][-count:]) if count > 0 else ()


def trim(path: Path) -> None:
    """Keep only the end of a log that has outgrown :data:`LIMIT`.

    Its writer has it open for appending, so what it writes next lands behind
    what was kept.
    """
    if not path.exists() or path.stat().st_size <= LIMIT:
        return
    kept = tail(path, _KEPT)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, 0)
        os.write(fd, kept)
    finally:
        os.close(fd)


def _printable(line: str) -> str:
    return "".join(c for c in line.expandtabs() if c.isprintable()).rstrip()[:_LONGEST_LINE]
