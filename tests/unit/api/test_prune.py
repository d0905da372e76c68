"""What prunes keep, and the times that their users write."""

from __future__ import annotations

import time

import pytest

from linwin.api.prune import keeping, moment
from linwin.errors import InvalidRequest

NOW = 1_709_208_000 * 10**9  # 2024-02-29T12:00:00Z
HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("0", 0),
        ("1709208000", NOW),
        ("1709208000.5", NOW + 5 * 10**8),
        ("1h", NOW - HOUR),
        ("1h30m", NOW - HOUR * 3 // 2),
        ("1.5h", NOW - HOUR * 3 // 2),
        ("10ms", NOW - 10**7),
        ("2us3ns", NOW - 2003),
        ("0s", NOW),
        ("2024-02-29T12:00:00Z", NOW),
        ("2024-02-29T13:00:00+01:00", NOW),
    ],
)
def test_moments(text: str, time_ns: int) -> None:
    assert moment(text, NOW) == time_ns


def test_a_time_without_a_zone_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    assert moment("2024-02-29T14:00", NOW) == NOW
    assert moment("2024-02-29", NOW) == NOW - 14 * HOUR
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "1h-3m", "h", "1d", "-1h", "-5", "2024-02-30", "1e9", "9" * 13])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        moment(text, NOW)
    assert caught.value.message == f"invalid filter 'until={text}'"
    assert (
        caught.value.hint == "Use a duration such as 24h, a date such as 2024-02-29, or seconds since 1970."
    )


def test_two_times_are_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        keeping({"until": ("1h", "2h")}, NOW)
    assert (caught.value.message, caught.value.hint) == (
        "more than one until filter specified",
        "Give one time.",
    )


@pytest.mark.parametrize(
    ("wanted", "age", "kept"),
    [
        ({}, 0, False),
        ({"until": ("1h",)}, 0, True),
        ({"until": ("1h",)}, 2 * HOUR, False),
        ({"label": ("a",)}, 0, False),
        ({"label": ("a", "b=2")}, 0, False),
        ({"label": ("a", "b=3")}, 0, True),
        ({"label": ("c",)}, 0, True),
        ({"label!": ("a",)}, 0, True),
        ({"label!": ("a", "c")}, 0, False),
        ({"label!": ("c",)}, 0, False),
        ({"label": ("a",), "label!": ("b=1",), "until": ("1h",)}, 2 * HOUR, False),
    ],
)
def test_what_is_kept(wanted: dict[str, tuple[str, ...]], age: int, kept: bool) -> None:
    assert keeping(wanted, NOW)({"a": "1", "b": "2"}, NOW - age) is kept
