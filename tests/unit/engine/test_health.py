"""The rules of health checks, with plain values."""

from __future__ import annotations

import pytest

from linwin.engine import command, health
from linwin.engine.command import Command
from linwin.engine.health import SECOND
from linwin.model.health import HealthCheck, HealthStatus, ProbeResult

ASK = HealthCheck(("CMD", "ask"), interval=SECOND)


def result(code: int, started_at: int = 0) -> ProbeResult:
    return ProbeResult(started_at, started_at + 1, code, "")


@pytest.mark.parametrize(
    ("own", "image", "merged"),
    [
        (None, None, None),
        (None, ASK, ASK),
        (ASK, None, ASK),
        (HealthCheck(retries=9), ASK, HealthCheck(("CMD", "ask"), interval=SECOND, retries=9)),
        (HealthCheck(("NONE",)), ASK, HealthCheck(("NONE",), interval=SECOND)),
    ],
)
def test_what_is_left_open_is_inherited(
    own: HealthCheck | None, image: HealthCheck | None, merged: HealthCheck | None
) -> None:
    assert health.merge(own, image) == merged


@pytest.mark.parametrize(
    ("test", "is_one"),
    [((), False), (("NONE",), False), (("CMD",), False), (("CMD", "x"), True), (("ODD", "x"), False)],
)
def test_what_is_a_check(test: tuple[str, ...], is_one: bool) -> None:
    assert health.enabled(HealthCheck(test)) is is_one


@pytest.mark.parametrize(
    ("status", "streak", "code", "expected"),
    [
        ("starting", 0, 0, ("healthy", 0)),
        ("starting", 0, 1, ("starting", 1)),
        ("starting", 2, 1, ("unhealthy", 3)),
        ("healthy", 2, -1, ("unhealthy", 3)),
        ("healthy", 1, 1, ("healthy", 2)),
        ("unhealthy", 9, 0, ("healthy", 0)),
    ],
)
def test_three_failures_in_a_row_are_unhealthy(
    status: HealthStatus, streak: int, code: int, expected: tuple[HealthStatus, int]
) -> None:
    assert health.judge(ASK, status, streak, result(code), 0) == expected


def test_failures_of_the_start_period_do_not_count_until_one_succeeded() -> None:
    check = HealthCheck(("CMD", "ask"), start_period=10 * SECOND, retries=1)
    assert health.judge(check, "starting", 0, result(1, 9 * SECOND), 0) == ("starting", 0)
    assert health.judge(check, "starting", 0, result(1, 11 * SECOND), 0) == ("unhealthy", 1)
    assert health.judge(check, "healthy", 0, result(1, 9 * SECOND), 0) == ("unhealthy", 1)


def test_times_between_checks() -> None:
    assert health.pause_before_next(HealthCheck(), "starting", 0) == 30
    early = HealthCheck(start_period=10 * SECOND, interval=20 * SECOND)
    assert health.pause_before_next(early, "starting", 9 * SECOND) == 5
    assert health.pause_before_next(early, "healthy", 9 * SECOND) == 20
    assert health.pause_before_next(early, "starting", 10 * SECOND) == 20
    often = HealthCheck(start_period=10 * SECOND, start_interval=SECOND // 2)
    assert health.pause_before_next(often, "starting", 0) == 0.5


@pytest.mark.parametrize(
    ("test", "shell", "expected"),
    [
        (("CMD", "a b", "c"), (), Command(("a b", "c"))),
        (
            ("CMD-SHELL", 'find "x" f || exit 1'),
            (),
            Command(("cmd", "/S", "/C", 'find "x" f || exit 1'), 'cmd /S /C "find "x" f || exit 1"'),
        ),
        (
            ("CMD-SHELL", "ver"),
            ("CMD.EXE", "/s", "/c"),
            Command(("CMD.EXE", "/s", "/c", "ver"), 'CMD.EXE /s /c "ver"'),
        ),
        (
            ("CMD-SHELL", "Get-Date"),
            ("pwsh", "-Command"),
            Command(("pwsh", "-Command", "Get-Date")),
        ),
    ],
)
def test_the_shell_is_the_images(test: tuple[str, ...], shell: tuple[str, ...], expected: Command) -> None:
    assert command.probe(test, shell) == expected


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (200_000_000, "200ms"),
        (SECOND, "1s"),
        (3 * SECOND // 2, "1.5s"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
    ],
)
def test_durations_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert health.go_duration(nanoseconds) == text
