"""How long the phases of a start took, one after the other."""

from __future__ import annotations

import time


class Phases:
    """A stopwatch; each mark names what has just ended."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._taken: list[tuple[str, float]] = []

    def mark(self, name: str) -> None:
        now = time.monotonic()
        self._taken.append((name, now - self._last))
        self._last = now

    @property
    def taken(self) -> list[tuple[str, float]]:
        """The phases and their seconds, in their order."""
        return list(self._taken)

    @property
    def total(self) -> float:
        """Seconds from the first to the last mark."""
        return self._last - self._began

    def __str__(self) -> str:
        """Milliseconds, as ``512 ms: overlay 20, guest 300, …``."""
        parts = ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in self._taken)
        return f"{self.total * 1000:.0f} ms: {parts}"
