"""Sizes and times in the words docker uses for people, and back."""

from __future__ import annotations

import re
from contextlib import suppress

from linwin.errors import InvalidRequest
from linwin.model.durations import nanoseconds

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_POWER = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SIZE = r"(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?"


def human_size(size: float, *, digits: int = 3) -> str:
    """``1234567890`` → ``1.23GB``: powers of 1000, ``digits`` significant digits, as ``docker images``."""
    return _scaled(size, 1000, _DECIMAL, digits)


def binary_size(size: float) -> str:
    """``25000000000`` → ``23.28GiB``: powers of 1024, as the memory lines of ``docker info``."""
    return _scaled(size, 1024, _BINARY, 4)


def _scaled(size: float, base: int, names: tuple[str, ...], digits: int) -> str:
    power = 0
    # What would round up to the next unit goes there: 1MB, where plain %g says 1e+03kB.
    while float(f"{size:.{digits}g}") >= base and power < len(names) - 1:
        size, power = size / base, power + 1
    return f"{size:.{digits}g}{names[power]}"


def human_duration(seconds: float) -> str:
    """``125`` → ``2 minutes``: one unit, the words of docker's CREATED column."""
    minutes, hours = int(seconds / 60), int(seconds / 3600 + 0.5)
    days = hours // 24
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{days} days"
    if hours < 24 * 30 * 2:
        return f"{days // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{days // 30} months"
    return f"{int(seconds / 3600 / 24 / 365)} years"


def parse_size(text: str) -> int:
    """``512m``, ``1.5g`` or plain bytes → bytes. Units are powers of 1024, as docker's ``--memory``."""
    match = re.fullmatch(_SIZE, text.strip(), re.IGNORECASE)
    if match is None:
        raise InvalidRequest(f'invalid size: "{text}"', hint="write a number and b, k, m or g, such as 512m")
    return int(float(match[1]) * 1024 ** _POWER[match[2].lower()])


def parse_duration(text: str) -> int:
    """A duration as Go writes it, such as ``30s`` or ``1m30s`` → nanoseconds."""
    try:
        return nanoseconds(text)
    except ValueError as error:
        raise InvalidRequest(
            f'invalid duration: "{text}"', hint="write numbers and units, such as 500ms or 1m30s"
        ) from error


def parse_moment(text: str, *, now: int) -> str:
    """A point in time as ``--since`` takes it → seconds since the epoch, ``SECONDS.NANOSECONDS``.

    ``text`` is a Unix time, a date of RFC 3339 (local when it names no zone),
    or a duration of Go such as ``1h30m`` before ``now``, which is in nanoseconds.
    """
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        return text
    sign, duration = (-1, text[1:]) if text.startswith("-") else (1, text)
    with suppress(ValueError):  # it is a date, or nothing
        return _seconds(now - sign * nanoseconds(duration))
    from datetime import datetime

    # Python reads at most six digits of a fraction; RFC 3339 and docker's own timestamps have nine.
    match = re.fullmatch(r"(.+:\d\d)\.(\d{1,9})(.*)", text)
    whole, fraction, zone = match.groups() if match else (text, "", "")
    try:
        seconds = int(datetime.fromisoformat(whole + zone).timestamp())
        return _seconds(seconds * 10**9 + int(fraction.ljust(9, "0")))
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f'invalid time: "{text}"', hint="write 42m, a Unix time, or a date such as 2013-01-02T13:23:37Z"
        ) from None


def _seconds(nanoseconds: int) -> str:
    seconds, rest = divmod(max(nanoseconds, 0), 10**9)
    return f"{seconds}.{rest:09d}"


def date_and_time(seconds: int) -> str:
    """Seconds since the epoch → ``2026-11-24 10:58:51 +0000 UTC``, in local time, as ``{{.CreatedAt}}``."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def rfc3339(seconds: int) -> str:
    """Seconds since the epoch → ``2026-11-24T10:58:51Z``, in local time, as docker's exact times."""
    from datetime import UTC, datetime, timedelta

    # A timedelta reaches back to the year 1, which is Go's zero time; C's functions do not everywhere.
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    if seconds > 0:
        moment = moment.astimezone()
    return moment.isoformat().replace("+00:00", "Z")
