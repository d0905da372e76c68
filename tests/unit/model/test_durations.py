"""Durations as Go writes them."""

from __future__ import annotations

import pytest

from linwin.model.durations import nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("+0", 0),
        ("1ns", 1),
        ("1us", 1_000),
        ("1µs", 1_000),
        ("500ms", 500_000_000),
        ("1m30s", 90_000_000_000),
        ("+1h0.5s", 3_600_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("0.1ns", 0),
    ],
)
def test_durations(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["", "1", "1 s", "s", "1m30", "-1s", "1s x", "++1s", "\u0661s"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        nanoseconds(text)
