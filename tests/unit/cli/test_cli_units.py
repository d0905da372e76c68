"""Sizes, ages and times in docker's words."""

from __future__ import annotations

import pytest

from linwin.cli import units
from linwin.errors import InvalidRequest

HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1234, "1.23kB"),
        (999_999, "1MB"),
        (1_234_567_890, "1.23GB"),
        (5e20, "500EB"),
    ],
)
def test_human_size(size: float, text: str) -> None:
    assert units.human_size(size) == text


def test_binary_size() -> None:
    assert units.binary_size(25_000_000_000) == "23.28GiB"
    assert units.binary_size(1023) == "1023B"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (125, "2 minutes"),
        (1.4 * HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (14 * DAY, "2 weeks"),
        (60 * DAY, "2 months"),
        (2 * 365 * DAY, "2 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert units.human_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [("1024", 1024), ("512m", 512 << 20), ("1.5g", 3 << 29), ("2GB", 2 << 30), ("1 KiB", 1024), ("7b", 7)],
)
def test_parse_size(text: str, size: int) -> None:
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1", "1x", "1gg", "0x10"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f'^invalid size: "{text}"'):
        units.parse_size(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1700000000", "1700000000"),
        ("1700000000.123456789", "1700000000.123456789"),
        ("42m", "997480.000000000"),
        ("1h30m", "994600.000000000"),
        ("1.5s", "999998.500000000"),
        ("1970-01-02T00:00:00Z", "86400.000000000"),
        ("1.000000001s", "999998.999999999"),
        ("-10s", "1000010.000000000"),
        ("300h", "0.000000000"),
        ("1970-01-02T00:00:00.123456789Z", "86400.123456789"),
        ("1970-01-02T01:00:00.5+01:00", "86400.500000000"),
        ("1970-01-02T01:00:00+01:00", "86400.000000000"),
        ("1970-01-02T01:00+01:00", "86400.000000000"),
    ],
)
def test_parse_moment(text: str, moment: str) -> None:
    assert units.parse_moment(text, now=1_000_000 * 10**9) == moment


def test_parse_moment_refuses() -> None:
    with pytest.raises(InvalidRequest) as caught:
        units.parse_moment("yesterday", now=0)
    assert caught.value.message == 'invalid time: "yesterday"'
    assert caught.value.hint == "write 42m, a Unix time, or a date such as 2013-01-02T13:23:37Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1795517931, "2026-11-24T10:58:51Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-62135596800, "0001-01-01T00:00:00Z"),
    ],
)
def test_rfc3339(place: object, seconds: int, text: str) -> None:
    assert units.rfc3339(seconds) == text
