"""Times as image configs have them."""

from __future__ import annotations

from datetime import UTC, datetime

NANOSECONDS = 10**9


def rfc3339(time_ns: int) -> str:
    """Nanoseconds since 1970 → RFC 3339 in UTC, as Go writes it: no zeros at the end of the fraction."""
    seconds, fraction = divmod(time_ns, NANOSECONDS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"
