"""Room on the host for what a template is made of, looked at before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.errors import Unavailable

GIB = 1 << 30
MORE_ROOM = "free some space, or start the daemon with a LINWIN_ROOT on another disk"
_FULL = 64 << 20  # bytes that are free, or fewer, when a tool could not go on


def check(folder: Path, needed: int, what: str) -> None:
    """Raise Unavailable when ``folder`` has fewer bytes for the work that is called ``what``."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"the {what} needs {needed / GIB:.1f} GiB for a while in {folder.parent}, "
            f"where {free / GIB:.1f} GiB are free",
            hint=MORE_ROOM,
        )


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Say that the disk of ``folder`` is full when that is why a tool could not go on."""
    try:
        yield
    except Unavailable as error:
        if error.hint == MORE_ROOM or shutil.disk_usage(folder).free >= _FULL:
            raise
        # What a tool says of a full disk is about itself.
        raise Unavailable(f"{folder.parent} is full: {error.message}", hint=MORE_ROOM) from error
