"""How much patience a transfer has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``idle`` is how many seconds a registry may send nothing; the others count."""

    idle: float = 60.0
    attempts: int = 3
    layers_at_once: int = 3
