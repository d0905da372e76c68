"""Health checks over the real engine and API, in time that the tests make pass."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linwin.model.container import ContainerSpec
from linwin.model.health import HealthCheck
from tests.scenario.fakes.guest import FakeGuest, FakeProcess
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon, Docker, served
from tests.scenario.test_small_verbs import guest_of

SECOND = 10**9
CHECK = HealthCheck(("CMD", "doctor"), interval=2 * SECOND, timeout=SECOND, retries=2)


@pytest.fixture
def timing(daemon: Daemon) -> FakeTiming:
    daemon.engine.timing = timing = FakeTiming()
    return timing


async def start(daemon: Daemon, check: HealthCheck = CHECK) -> FakeGuest:
    spec = ContainerSpec(image=IMAGE, cmd=("hang",), health_check=check)
    await daemon.engine.create(spec, "pet")
    await daemon.engine.start("pet")
    return guest_of(daemon)[1]


async def one_check(timing: FakeTiming) -> None:
    """From one wait between checks to the next, with the limit of a check in between."""
    assert await asyncio.wait_for(timing.waits.get(), 10) == 2
    timing.advance(2)
    assert await asyncio.wait_for(timing.waits.get(), 10) == 1
    await until_waiting(timing)


async def until_waiting(timing: FakeTiming) -> None:
    """The result is in: the wait for the next check has begun, and is to be seen again."""
    seconds = await asyncio.wait_for(timing.waits.get(), 10)
    timing.waits.put_nowait(seconds)


def probe_of(guest: FakeGuest) -> FakeProcess:
    return next(process for name, process in guest.running.items() if name.startswith("health-"))


async def until_printed(guest: FakeGuest) -> None:
    """The check has printed something, and we have acknowledged it."""
    for _ in range(100):
        await asyncio.sleep(0)
        if any(name.startswith("health-") for name in guest.running):
            probe = probe_of(guest)
            if 0 < probe._printed["stdout"] == probe._acknowledged["stdout"]:
                return
    raise AssertionError("the check printed nothing")


async def health(daemon: Daemon) -> dict[str, Any]:
    shown = await asyncio.to_thread(daemon.client.get, "/containers/pet/json")
    found: dict[str, Any] = shown["State"]["Health"]
    return found


async def status_column(daemon: Daemon, **filters: list[str]) -> list[str]:
    found = await asyncio.to_thread(daemon.client.get, "/containers/json", all=True, filters=filters)
    return [item["Status"].partition("(")[2].rstrip(")") for item in found]


async def test_a_container_turns_healthy_and_unhealthy_and_healthy_again(
    daemon: Daemon, timing: FakeTiming
) -> None:
    guest = await start(daemon)
    assert await health(daemon) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert await status_column(daemon) == ["health: starting"]
    await one_check(timing)
    found = await health(daemon)
    assert (found["Status"], found["Log"][0]["ExitCode"], found["Log"][0]["Output"]) == (
        "healthy",
        0,
        "well\n",
    )
    guest.sick = True
    await one_check(timing)
    assert (await health(daemon))["Status"] == "healthy"
    await one_check(timing)
    found = await health(daemon)
    assert (found["Status"], found["FailingStreak"]) == ("unhealthy", 2)
    assert await status_column(daemon, health=["unhealthy"]) == ["unhealthy"]
    assert await status_column(daemon, health=["healthy", "none", "starting"]) == []
    guest.sick = False
    for _ in range(3):
        await one_check(timing)
    found = await health(daemon)
    assert (found["Status"], found["FailingStreak"]) == ("healthy", 0)
    assert [entry["ExitCode"] for entry in found["Log"]] == [1, 1, 0, 0, 0]  # the last five


async def test_a_check_that_takes_too_long_is_killed(daemon: Daemon, timing: FakeTiming) -> None:
    check = HealthCheck(("CMD", "stubborn"), interval=2 * SECOND, timeout=SECOND, retries=1)
    guest = await start(daemon, check)
    assert await timing.waits.get() == 2
    timing.advance(2)
    assert await timing.waits.get() == 1
    await until_printed(guest)
    timing.advance(1)
    await until_waiting(timing)
    probe = probe_of(guest)
    assert probe.spec.transient
    assert await probe.wait() == 137
    (entry,) = (await health(daemon))["Log"]
    assert (entry["ExitCode"], entry["Output"]) == (-1, "Health check exceeded timeout (1s): hanging\n")
    assert (await health(daemon))["Status"] == "unhealthy"


async def test_output_is_bounded(daemon: Daemon, timing: FakeTiming) -> None:
    await start(daemon, HealthCheck(("CMD", "flood", "500000"), interval=2 * SECOND, timeout=SECOND))
    await one_check(timing)
    (entry,) = (await health(daemon))["Log"]
    assert entry["Output"].endswith("...")
    assert len(entry["Output"]) <= 4099


async def test_a_check_that_is_not_there_fails(daemon: Daemon, timing: FakeTiming) -> None:
    await start(daemon, HealthCheck(("CMD", "nonesuch"), interval=2 * SECOND, timeout=SECOND))
    await one_check(timing)
    (entry,) = (await health(daemon))["Log"]
    assert (entry["ExitCode"], "cannot find the file" in entry["Output"]) == (-1, True)


async def test_nothing_is_checked_while_paused_or_after_the_end(daemon: Daemon, timing: FakeTiming) -> None:
    guest = await start(daemon)
    await one_check(timing)
    before = len(guest.running)
    await daemon.engine.pause("pet")
    timing.advance(100)
    assert len(guest.running) == before
    assert (await health(daemon))["Status"] == "healthy"
    assert await timing.waits.get() == 2
    await daemon.engine.unpause("pet")
    await one_check(timing)
    assert len((await health(daemon))["Log"]) == 2
    await daemon.engine.stop("pet", timeout=5)
    assert await health(daemon) == {"Status": "unhealthy", "FailingStreak": 0, "Log": []}
    await daemon.engine.start("pet")
    assert await health(daemon) == {"Status": "starting", "FailingStreak": 0, "Log": []}


async def test_a_check_under_way_ends_with_its_container(daemon: Daemon, timing: FakeTiming) -> None:
    await start(daemon, HealthCheck(("CMD", "stubborn"), interval=2 * SECOND, timeout=SECOND))
    await timing.waits.get()
    timing.advance(2)
    await timing.waits.get()
    await daemon.engine.kill("pet", "KILL")
    assert (await daemon.engine.inspect("pet")).exit_code == 137


async def test_another_daemon_goes_on(daemon: Daemon, timing: FakeTiming) -> None:
    await start(daemon)
    await one_check(timing)
    container = await daemon.engine.inspect("pet")
    live = daemon.engine.forget(container.id)
    assert live.task
    assert live.run
    assert live.run.monitor
    live.task.cancel()  # the daemon is dead
    await live.run.monitor.rest()
    async with served(daemon.fakes, daemon.paths) as second:
        shown = await asyncio.to_thread(second.client.get, "/containers/pet/json")
        assert shown["State"]["Health"] == {"Status": "healthy", "FailingStreak": 0, "Log": []}
        second.engine.timing = timing = FakeTiming()
        await second.engine.pause("pet")
        await second.engine.unpause("pet")
        await one_check(timing)
        await second.engine.remove("pet", force=True)


async def test_unpausing_and_adopting_set_the_clock(daemon: Daemon) -> None:
    guest = await start(daemon)
    await daemon.engine.pause("pet")
    assert guest.clock == []
    await daemon.engine.unpause("pet")
    assert len(guest.clock) == 1
    guest.clockless = True
    await daemon.engine.pause("pet")
    await daemon.engine.unpause("pet")  # it goes on all the same
    assert (await daemon.engine.inspect("pet")).status == "running"


async def test_dockers_client_sees_health(docker: Docker, daemon: Daemon) -> None:
    options = ["--health-cmd", "doctor", "--health-interval", "100ms", "--health-retries", "1"]
    assert (await docker("run", "-d", "--name", "pet", *options, IMAGE, "hang")).code == 0
    form = "{{.State.Health.Status}} {{json .Config.Healthcheck.Test}}"
    async with asyncio.timeout(20):
        while (shown := await docker("inspect", "--format", form, "pet")).out.startswith(b"starting"):
            pass
    assert shown.out == b'healthy ["CMD-SHELL","doctor"]\n'
    assert b"(healthy)" in (await docker("ps", "--filter", "health=healthy")).out
    bad = await docker("ps", "--filter", "health=poor")
    assert b"invalid filter 'health=poor'" in bad.err
    none = await docker("run", "-d", "--no-healthcheck", IMAGE, "hang")
    assert (await docker("inspect", "--format", "{{.State.Health}}", none.out.decode().strip())).out in (
        b"<nil>\n",
        b"<no value>\n",
    )
