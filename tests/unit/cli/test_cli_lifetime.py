"""--restart, --health-… and update: what they send, and what they refuse themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.fake_container import FakeContainer
from tests.unit.cli.fake_daemon import Reply
from tests.unit.cli.test_cli_run import _told, body_of

__all__ = ["_told"]


def test_create_sends_policy_and_check(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon)
    options = ["--restart", "on-failure:4", "--health-cmd", "ver", "--health-interval", "1m30s"]
    options += ["--health-timeout", "500ms", "--health-start-period", "1s", "--health-retries", "2"]
    options += ["--health-start-interval", "100ms"]
    assert linwin("create", *options, "image").code == 0
    assert body_of(daemon)["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
    assert body_of(daemon)["Healthcheck"] == {
        "Test": ["CMD-SHELL", "ver"],
        "Interval": 90 * 10**9,
        "Timeout": 5 * 10**8,
        "StartPeriod": 10**9,
        "StartInterval": 10**8,
        "Retries": 2,
    }


def test_no_healthcheck(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon)
    assert linwin("create", "--no-healthcheck", "--restart", "always", "image").code == 0
    assert body_of(daemon)["Healthcheck"] == {"Test": ["NONE"]}
    assert body_of(daemon)["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--restart", ":3"], "invalid restart policy format: no policy provided before colon"),
        (
            ["--restart", "on-failure:x"],
            "invalid restart policy format: maximum retry count must be an integer",
        ),
        (["--restart", "always", "--rm"], "conflicting options: cannot specify both --restart and --rm"),
        (["--health-interval", "soon"], 'invalid duration: "soon"'),
        (["--health-retries", "-1"], "--health-retries cannot be negative"),
        (["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"),
    ],
)
def test_what_is_refused_here(daemon: Any, linwin: Any, options: list[str], sentence: str) -> None:
    done = linwin("run", *options, "image")
    assert done.code == 125
    assert sentence in done.err


def test_update(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /containers/one/update", Reply(200, {"Warnings": ["nothing is ignored"]}))
    done = linwin("update", "--restart", "no", "--memory", "1g", "--cpus", "1.5", "one")
    assert (done.code, done.out, done.err) == (0, "one\n", "WARNING: nothing is ignored\n")
    assert daemon.asked("POST /containers/one/update").json == {
        "Memory": 1 << 30,
        "NanoCpus": 1_500_000_000,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }
