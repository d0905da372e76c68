from __future__ import annotations

import pytest

from linwin.api import mux, render
from linwin.api.progress import line_of
from linwin.api.status import STATUS, status_of
from linwin.errors import CommandNotFound, LinwinError
from linwin.model.progress import Progress


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5399, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (729 * 86400, "24 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert render.duration(seconds) == words


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_709_208_000_123_456_789, "2024-02-29T12:00:00.123456789Z"),
    ],
)
def test_times(time_ns: int, text: str) -> None:
    assert render.rfc3339(time_ns) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-02-29T12:00:00.123456789Z", 1709208000),
        ("2024-02-29T12:00:00+01:00", 1709204400),
        ("0001-01-01T00:00:00Z", -62135596800),
        ("last week", 0),
        ("", 0),
    ],
)
def test_times_of_images(text: str, seconds: int) -> None:
    assert render.unix_seconds(text) == seconds


@pytest.mark.parametrize(
    ("canonical", "familiar"),
    [
        ("docker.io/library/tool:latest", "tool:latest"),
        ("docker.io/microsoft/nanoserver:latest", "microsoft/nanoserver:latest"),
        ("docker.io/library/a/b:1", "library/a/b:1"),
        ("docker.io/foo.bar/x:1", "docker.io/foo.bar/x:1"),
        ("mcr.microsoft.com/windows/nanoserver:1809", "mcr.microsoft.com/windows/nanoserver:1809"),
        ("docker.io/team/app@sha256:00", "team/app@sha256:00"),
    ],
)
def test_familiar_references(canonical: str, familiar: str) -> None:
    assert render.familiar(canonical) == familiar


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (253_400_000, "253 MB"),
        (999_499_999, "999 MB"),
        (999_500_000, "1 GB"),
        (1_534_000_000, "1.53 GB"),
        (99_900_000_000_000_000, "99900 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert render.size_text(size) == text


def test_frames() -> None:
    assert mux.frame("stdout", b"hi") == b"\x01\0\0\0\0\0\0\x02hi"
    assert mux.frame("stderr", b"x" * 300) == b"\x02\0\0\0\0\0\x01\x2c" + b"x" * 300
    assert mux.frame("error", b"") == b"\x03\0\0\0\0\0\0\0"


def test_progress_lines() -> None:
    assert line_of(Progress("Done")) == {"status": "Done"}
    assert line_of(Progress("Loading", "a", 1, 2)) == {
        "status": "Loading",
        "id": "a",
        "progressDetail": {"current": 1, "total": 2},
    }
    assert line_of(Progress("Loading", "a")) == {"status": "Loading", "id": "a", "progressDetail": {}}


def test_every_kind_has_a_status() -> None:
    assert all(kind in STATUS for kind in LinwinError.__subclasses__())
    assert status_of(CommandNotFound("x")) == 400
    assert status_of(LinwinError("x")) == 500
