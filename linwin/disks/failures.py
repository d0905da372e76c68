"""Failures that more than one process of this room can meet."""

from __future__ import annotations

from linwin.errors import Unavailable


def no_space() -> Unavailable:
    """The host's own disk is full."""
    return Unavailable(
        "no space left on device while a disk was being written",
        hint="free space below LINWIN_ROOT, for example with: linwin image prune",
    )
