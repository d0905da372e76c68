"""Progress that long work reports while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work, in the shape of docker's progress stream.

    ``id`` names the thing worked on (a layer, a build phase) or is empty for a
    plain line. ``current`` and ``total`` are bytes, or None when unknown. A
    ``heading`` is said once, and has no bar though it has an id.
    """

    status: str
    id: str = ""
    current: int | None = None
    total: int | None = None
    heading: bool = False


Report = Callable[[Progress], None]
"""Receives progress; must not block and must be safe to call from the event loop."""
