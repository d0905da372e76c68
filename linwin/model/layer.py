"""Layers that are made here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WrittenLayer:
    """A Windows layer that was written as a plain tar of ``size`` bytes, which ``diff_id`` is the digest of.

    ``is_empty`` says that nothing had changed. ``bytes_read`` counts what was read of the disks.
    """

    diff_id: str
    size: int
    is_empty: bool
    bytes_read: int
