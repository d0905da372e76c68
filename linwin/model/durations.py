"""Durations as Go writes them, and docker with it: ``500ms``, ``1m30s``."""

from __future__ import annotations

import re

_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
_NANOSECONDS |= {"m": 60 * 10**9, "h": 3600 * 10**9}


def nanoseconds(text: str) -> int:
    """The nanoseconds of a duration, which is not negative. Raises ValueError for anything else."""
    plain = text.removeprefix("+")
    if plain == "0":
        return 0
    parts = re.findall(_PART, plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise ValueError(f"{text!r} is not a duration")
    from fractions import Fraction  # commands that read none start without it

    return sum(int(Fraction(number) * _NANOSECONDS[unit]) for number, unit in parts)
