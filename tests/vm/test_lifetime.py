"""Restart policies, health checks and clocks, with real guests."""

from __future__ import annotations

import subprocess
import time
from datetime import datetime
from typing import Any

from tests.vm.conftest import GUEST_TIMEOUT, NANOSERVER, Linwin
from tests.vm.test_lifecycle import FOREVER

HALT = 5.0
"""Seconds that a machine stands still."""


def until(linwin: Linwin, name: str, status: str) -> dict[str, Any]:
    """The container's health, once its status is that."""
    deadline = time.monotonic() + GUEST_TIMEOUT
    while (health := linwin.inspect(name)["State"]["Health"])["Status"] != status:
        assert time.monotonic() < deadline, health
    found: dict[str, Any] = health
    return found


def test_a_program_that_fails_is_tried_twice_again(linwin: Linwin) -> None:
    script = "echo once more>> C:\\log & type C:\\log & exit 3"
    linwin("run", "-d", "--name", "failing", "--restart", "on-failure:2", NANOSERVER, "cmd", "/c", script)
    deadline = time.monotonic() + GUEST_TIMEOUT
    while linwin.inspect("failing")["State"]["Status"] != "exited":
        assert time.monotonic() < deadline
    shown = linwin.inspect("failing")
    assert (shown["State"]["ExitCode"], shown["RestartCount"]) == (3, 2)
    # Its disk is the same in each run: one, two and three lines.
    assert linwin.text("logs", "failing").split() == ["once", "more"] * 6
    assert linwin.guests() == {}
    linwin("rm", "failing")


def test_a_check_turns_healthy_and_unhealthy(linwin: Linwin) -> None:
    check = 'if not exist "C:\\well" (echo no "well" & exit 4)'
    options = ["--health-cmd", check, "--health-interval", "100ms", "--health-retries", "1"]
    linwin("run", "-d", "--name", "patient", *options, NANOSERVER, *FOREVER)
    sick = until(linwin, "patient", "unhealthy")
    assert (sick["Log"][-1]["ExitCode"], sick["Log"][-1]["Output"].strip()) == (4, 'no "well"')
    linwin("exec", "patient", "cmd", "/c", "echo 1> C:\\well")
    until(linwin, "patient", "healthy")
    assert "(healthy)" in linwin.text("ps")
    linwin("exec", "patient", "cmd", "/c", "del C:\\well")
    until(linwin, "patient", "unhealthy")
    linwin("rm", "-f", "patient")


def test_a_guests_clock_is_right_after_a_pause(linwin: Linwin, program: Any) -> None:
    """Each line says what time the guest had; the log, what time the host had when it came.

    Each is another node's: one that runs on asks for the time of day once a minute only.
    """
    script = "for /l %i in (1,1,1000) do @node -e console.log(Date.now())"
    linwin("run", "-d", "--name", "sleeper", program("node"), "cmd", "/c", script)
    lines(linwin, 1)
    linwin("pause", "sleeper")
    paused = time.monotonic()
    while time.monotonic() - paused < HALT:
        linwin("ps", "-q")
    linwin("unpause", "sleeper")
    logged, printed = lines(linwin, 2)[-1].split()  # the first may have asked before the pause
    moment = datetime.fromisoformat(logged[:26] + "+00:00").timestamp()
    assert abs(moment - int(printed) / 1000) < HALT / 2, "the clock was left behind"
    linwin("rm", "-f", "sleeper")


def lines(linwin: Linwin, count: int) -> list[str]:
    """So many more lines of the log, with their times, as they come."""
    with linwin.start("logs", "-ft", "-n", "0", "sleeper", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        found = [logs.stdout.readline().decode() for _ in range(count)]
        logs.terminate()
    return found
