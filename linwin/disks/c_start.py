"""Where on a disk C: begins: at its start, or where a note beside the base of its chain says.

A wine template's disk is a volume and nothing else; that of a template which boots from it has
partitions. The note outlasts the template, and is not the guest's to change, as a partition table is.
"""

from __future__ import annotations

import re
from pathlib import Path

from linwin.disks.qcow2 import read_header
from linwin.errors import Internal
from linwin.host.files import write_atomically

SUFFIX = ".c-start"
NOTE = re.compile(r"[0-9a-f]{64}\.c-start")
"""The names of notes: a decimal number of bytes."""
_MOST_FILES = 1000
"""Files of one chain; an image has 127 layers at most."""


def note_of(base: Path) -> Path:
    """The note on the disk that is called ``base``."""
    return base.with_suffix(SUFFIX)


def write_note(base: Path, start: int) -> None:
    """Say where C: begins, ``start`` bytes from a disk's start, before there is the disk. Raises OSError."""
    if start:
        write_atomically(note_of(base), f"{start}\n".encode(), mode=0o444)


def c_start(disk: Path) -> int:
    """Where C: begins on a disk that stands on a chain, in bytes.

    Raises OSError, and Internal for a damaged header or note.
    """
    for _ in range(_MOST_FILES):
        header = read_header(disk)
        if header.backing is None:
            return _noted(note_of(disk))
        disk = (disk.parent / header.backing).resolve()
    raise Internal(f"{disk} stands on itself")


def _noted(note: Path) -> int:
    try:
        return int(note.read_text())
    except FileNotFoundError:
        return 0
    except ValueError as error:
        raise Internal(f"{note} does not say where C: begins") from error
