"""linwin template verify of a template of Windows: what its guests do not do, and what takes them long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linwin.engine import power, watch
from linwin.engine.verify import bench, reaching
from tests.scenario.fakes.computer import FakeComputer
from tests.scenario.fakes.machine import PICTURE, FakeMachine
from tests.scenario.harness import Daemon
from tests.scenario.test_linwin_cli import Linwin
from tests.scenario.verification import left, titles, verified, windows_computer

MOUNTS = {"mounts.from-host", "mounts.to-host", "mounts.read-only", "mounts.volume"}
COPIES = {"start.cold-clock", "files.copy", "files.fresh"}
UNCHECKED_ON_WINDOWS = {
    "start.checkpoint", "start.restored", "start.restored-clock", "programs.user", "network.neighbour",
    *MOUNTS, *COPIES,
}  # fmt: skip
FIRST_STARTS, RESTARTS = 6, 2
"""Guests of a Windows: box, twin, committed, healing, web, peer; and box and healing once more."""


@pytest.fixture
def windows(daemon: Daemon, short_folder: Path) -> FakeComputer:
    return windows_computer(daemon, short_folder)


@pytest.fixture
def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    return Linwin(daemon.host, short_folder)


async def test_a_good_windows_passes(daemon: Daemon, windows: FakeComputer) -> None:
    checks, surroundings = await verified(daemon)
    assert titles(checks, "failed") == set(), [c for c in checks if c["Outcome"] == "failed"]
    assert titles(checks, "unchecked") == UNCHECKED_ON_WINDOWS
    details = {f"{check['Group']}.{check['Name']}": check["Detail"] for check in checks}
    assert {details[title] for title in MOUNTS} == {
        "guests of the template wine mount no files of the host yet"
    }
    assert {details[title] for title in COPIES} == {
        "a Windows guest copies no files while it runs, nor tells their times"
    }
    assert len(daemon.fakes.guests.all) == FIRST_STARTS + RESTARTS
    (activation,) = [check for check in checks if check["Name"] == "activation"]
    assert activation["Detail"] == "Initial grace period, expires in 259187 minute(s) (180 day(s))"
    texts = {text["Name"]: text["Text"] for text in surroundings["Texts"]}
    assert texts["Drivers"] == "viostor password=***"
    assert texts["Agent's log"] == "the agent's last words"
    assert "Guests that were lost" not in texts
    assert surroundings["Picture"] == ""
    assert await left(daemon) == []


async def test_guests_that_do_not_come_up(daemon: Daemon, windows: FakeComputer) -> None:
    """Two fail, the rest is not tried; what the last screen showed is told."""
    daemon.fakes.guests.silent = True
    checks, _ = await verified(daemon)
    assert titles(checks, "failed") == {"start.cold", "life.heals"}
    (cold,) = [check for check in checks if check["Name"] == "cold"]
    assert cold["Got"] == (
        "Windows did not come up (at its first start, while it set itself up): "
        "the guest's agent did not say hello within 5400 s"
    )
    reasons = {check["Detail"] for check in checks if check["Outcome"] == "unchecked"}
    assert any(reason.startswith("no guest starts: ") for reason in reasons)
    assert titles(checks, "passed") == {"host.clean"}
    assert await left(daemon) == []


async def test_a_screen_is_told(
    daemon: Daemon, windows: FakeComputer, linwin: Linwin, monkeypatch: pytest.MonkeyPatch, short_folder: Path
) -> None:
    """A start is given up after what Windows is given to come up, which is longer than a check may take."""
    monkeypatch.setitem(bench.PATIENCE, "tcg", 0.01)
    monkeypatch.setitem(power.WINDOWS_TIMEOUT, "tcg", 3.0)
    monkeypatch.setattr(bench, "LOOK_AGAIN", 0.1)
    never = asyncio.Event()

    async def wait(*_: object, **__: object) -> None:
        await never.wait()

    monkeypatch.setattr(daemon.fakes.guests, "connect", wait)
    report = short_folder / "report.md"
    done = await linwin("template", "verify", "--only", "start", "--report", str(report), "wine")
    assert done.code == 1
    assert (short_folder / "report.png").read_bytes() == PICTURE
    text = report.read_text()
    assert "container did not start within 5 s" in text
    assert "an answer within" not in text
    assert await left(daemon) == []


async def test_windows_may_take_its_time_to_end(
    daemon: Daemon, windows: FakeComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as a stop waits for it, and the result tells what is wrong."""
    monkeypatch.setitem(bench.PATIENCE, "tcg", 0.01)
    monkeypatch.setattr(watch, "SWITCH_OFF_TIMEOUT", 2.0)
    monkeypatch.setattr(FakeMachine, "press_power_button", _unheard)
    checks, _ = await verified(daemon, "life")
    assert titles(checks, "failed") == {"life.stop"}
    (stop,) = [check for check in checks if check["Name"] == "stop"]
    assert stop["Got"] == (
        "the container's disk may lack what was written last: Windows did not shut down within 2 s"
    )
    assert await left(daemon) == []


async def _unheard(machine: FakeMachine) -> None:
    """A button that nobody hears."""


async def test_windows_without_terminals(daemon: Daemon, windows: FakeComputer) -> None:
    windows.no_terminals = "this Windows has no pseudo-consoles, which came with build 17763: leave out -t"
    checks, _ = await verified(daemon, "terminal")
    assert {(check["Outcome"], check["Detail"]) for check in checks if check["Group"] == "terminal"} == {
        ("unchecked", windows.no_terminals)
    }
    assert titles(checks, "passed") == {"host.clean"}


async def test_windows_whose_drivers_take_for_ever(
    daemon: Daemon, windows: FakeComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linwin.engine.verify.surroundings.ASKING_LIMIT", 0.05)
    windows.hangs.add("driverquery")
    checks, around = await verified(daemon, "guest")
    assert titles(checks, "failed") == set()
    texts = {text["Name"]: text["Text"] for text in around["Texts"]}
    assert texts["What else was to be asked of a guest"] == "it did not answer in time"


async def test_windows_gets_its_address_late(
    daemon: Daemon, windows: FakeComputer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "LOOK_AGAIN", 0.01)
    windows.until_addressed = 3
    checks, _ = await verified(daemon, "network")
    assert titles(checks, "failed") == set(), checks
    assert windows.until_addressed == 0
    windows.wrong.add("network.address")
    checks, _ = await verified(daemon, "network")
    assert "network.address" in titles(checks, "failed")
