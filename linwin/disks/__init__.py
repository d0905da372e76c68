"""Entries → NTFS → qcow2 chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from linwin.disks.chains import ChainDisks

__all__ = ["ChainDisks"]


def __getattr__(name: str) -> object:
    """Import the room when it is asked for: its workers, one for each layer, start without."""
    if name != "ChainDisks":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from linwin.disks.chains import ChainDisks

    return ChainDisks
