"""What a restart policy does when a program ends, when its user interferes, and when a daemon dies."""

from __future__ import annotations

import asyncio

import pytest

from linwin.engine.live import Exit
from linwin.model.container import Container, ContainerSpec, Status
from linwin.model.exec import ExecSpec
from linwin.model.restart import PolicyName, RestartPolicy
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon, served
from tests.scenario.test_lifecycle import answered, in_time

__all__ = ["in_time"]


@pytest.fixture
async def timing(daemon: Daemon) -> FakeTiming:
    daemon.engine.timing = timing = FakeTiming()
    return timing


async def create(
    daemon: Daemon, policy: PolicyName, *command: str, retries: int = 0, name: str = "pet"
) -> str:
    spec = ContainerSpec(image=IMAGE, cmd=command, restart=RestartPolicy(policy, retries))
    return (await daemon.engine.create(spec, name)).id


async def pet(daemon: Daemon) -> Container:
    return await daemon.engine.inspect("pet")


async def next_end(daemon: Daemon) -> Exit:
    return await asyncio.wait_for(await daemon.engine.wait("pet", "next-exit"), 10)


async def crash(daemon: Daemon) -> None:
    """The program is killed, and not by its user."""
    await daemon.fakes.guests.last.signal("KILL")


async def start_and_crash(daemon: Daemon, timing: FakeTiming) -> None:
    await daemon.engine.start("pet")
    await crash(daemon)
    await timing.waits.get()


# Which end is a restart


@pytest.mark.parametrize(
    ("policy", "code", "status"),
    [
        ("no", "3", "exited"),
        ("on-failure", "0", "exited"),
        ("on-failure", "3", "restarting"),
        ("always", "0", "restarting"),
        ("unless-stopped", "0", "restarting"),
    ],
)
async def test_which_ends_are_followed_by_a_restart(
    daemon: Daemon, timing: FakeTiming, policy: PolicyName, code: str, status: Status
) -> None:
    await create(daemon, policy, "exit", code)
    ended = asyncio.create_task(next_end(daemon))
    await asyncio.sleep(0)
    await daemon.engine.start("pet")
    assert (await ended).code == int(code)
    container = await pet(daemon)
    assert (container.status, container.exit_code) == (status, int(code))
    assert (container.pid, container.restart_count) == (0, int(status == "restarting"))
    assert not daemon.fakes.machines.running


async def test_on_failure_tries_so_often_and_no_more(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "on-failure", "exit", "3", retries=2)
    await daemon.engine.start("pet")
    for delay in (0.1, 0.2):
        assert await timing.waits.get() == delay
        timing.advance(delay)
    final = await daemon.engine.wait("pet", "not-running")
    assert (await final).code == 3
    container = await pet(daemon)
    assert (container.status, container.restart_count, container.starts) == ("exited", 2, 3)


async def test_the_wait_doubles_up_to_a_minute(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "exit", "0")
    await daemon.engine.start("pet")
    delays = []
    for _ in range(12):
        delays.append(await timing.waits.get())
        timing.advance(delays[-1])
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]


async def test_a_start_by_hand_counts_anew(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    timing.advance(0.1)
    await running_again(daemon)
    await crash(daemon)
    assert await timing.waits.get() == 0.2
    assert (await pet(daemon)).restart_count == 2
    await daemon.engine.stop("pet", timeout=0)
    await start_and_crash(daemon, timing)
    assert (await pet(daemon)).restart_count == 1


async def running_again(daemon: Daemon, name: str = "pet") -> None:
    """The restart that is under way has come to its end."""
    live = daemon.engine.live((await daemon.engine.inspect(name)).id)
    while live.run is None:
        async with live.lock:
            await asyncio.sleep(0)
    assert (await daemon.engine.inspect(name)).status == "running"


# What its user does meanwhile


async def test_what_ends_on_request_stays_down(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "hang")
    for end in (
        lambda: daemon.engine.stop("pet", timeout=5),
        lambda: daemon.engine.kill("pet", "KILL"),
        lambda: daemon.engine.kill("pet", "TERM"),
    ):
        await daemon.engine.start("pet")
        ended = await daemon.engine.wait("pet", "not-running")
        await end()
        await ended
        container = await pet(daemon)
        assert (container.status, container.stopped_by_hand) == ("exited", True)


async def test_a_signal_that_is_not_its_stop_signal_does_not_end_the_policy(
    daemon: Daemon, timing: FakeTiming
) -> None:
    spec = ContainerSpec(image=IMAGE, cmd=("hang",), stop_signal="INT", restart=RestartPolicy("always"))
    await daemon.engine.create(spec, "pet")
    await daemon.engine.start("pet")
    await daemon.engine.kill("pet", "TERM")
    assert await timing.waits.get() == 0.1
    assert (await pet(daemon)).status == "restarting"


async def test_a_stop_ends_the_wait_and_tells_who_waits(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    waiter = await daemon.engine.wait("pet", "not-running")
    assert not waiter.done()
    assert await daemon.engine.stop("pet", timeout=0)
    assert (await waiter).code == 137
    await daemon.settled()  # nothing waits any more
    timing.advance(100)
    assert (await pet(daemon)).status == "exited"


async def test_a_removal_ends_the_wait(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    task = daemon.engine.watching()
    await daemon.engine.remove("pet", force=True)
    await asyncio.gather(*task)
    assert await daemon.nothing_left()


async def test_a_restart_by_hand_does_not_wait(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    await daemon.engine.restart("pet", timeout=0)
    container = await pet(daemon)
    assert (container.status, container.restart_count, container.stopped_by_hand) == ("running", 0, False)


async def test_it_can_be_renamed_while_it_waits(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    await daemon.engine.rename("pet", "beast")
    timing.advance(0.1)
    await running_again(daemon, "beast")


async def test_what_needs_a_program_is_refused_while_it_waits(daemon: Daemon, timing: FakeTiming) -> None:
    identity = await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    sentence = f"Container {identity} is restarting, wait until the container is running"
    for verb in (
        daemon.engine.pause("pet"),
        daemon.engine.exec_create("pet", ExecSpec(("echo",))),
        daemon.engine.attach("pet", stdin=False, stdout=True, stderr=True, logs=False, stream=True),
    ):
        assert await answered(verb) == (409, sentence)


async def test_a_kill_waits_for_a_restart_that_is_under_way(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    daemon.fakes.machines.gate = gate = Gate()
    timing.advance(0.1)
    await gate.reached.wait()
    kill = asyncio.create_task(daemon.engine.kill("pet", "KILL"))
    await asyncio.sleep(0)
    gate.opened.set()
    await kill
    assert (await pet(daemon)).status == "exited"


# A restart that fails


async def test_a_host_without_room_is_asked_again(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    daemon.fakes.machines.broken = "no machine today"
    timing.advance(0.1)
    assert await timing.waits.get() == 0.2
    container = await pet(daemon)
    assert (container.status, container.error) == ("restarting", "no machine today")
    daemon.fakes.machines.broken = None
    timing.advance(0.2)
    await running_again(daemon, container.id)
    assert (await pet(daemon)).restart_count == 2


async def test_a_container_whose_template_is_gone_is_not_tried_for_ever(
    daemon: Daemon, timing: FakeTiming
) -> None:
    await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    await daemon.fakes.templates.remove("wine")
    waiter = await daemon.engine.wait("pet", "not-running")
    timing.advance(0.1)
    assert (await waiter).code == 137
    container = await pet(daemon)
    assert (container.status, container.restart_count) == ("exited", 1)
    assert "wine" in container.error


async def test_a_host_whose_memory_is_full_is_asked_again(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "on-failure", "stubborn", retries=2)
    await start_and_crash(daemon, timing)
    daemon.fakes.machines.available = 600
    timing.advance(0.1)
    assert await timing.waits.get() == 0.2
    container = await pet(daemon)
    assert (container.status, container.restart_count) == ("restarting", 2)
    assert container.error.startswith("not enough memory for a guest of 512 MiB")
    waiter = await daemon.engine.wait("pet", "not-running")
    timing.advance(0.2)
    await waiter
    assert (await pet(daemon)).status == "exited"


# Daemons that end


@pytest.mark.parametrize(
    ("policy", "by_hand", "back"),
    [
        ("no", False, False),
        ("always", False, True),
        ("always", True, True),
        ("unless-stopped", False, True),
        ("unless-stopped", True, False),
        ("on-failure", False, True),
        ("on-failure", True, False),
    ],
)
async def test_what_the_next_daemon_starts(
    daemon: Daemon, policy: PolicyName, by_hand: bool, back: bool
) -> None:
    await create(daemon, policy, "hang")
    await daemon.engine.start("pet")
    if by_hand:
        await daemon.engine.stop("pet", timeout=0)
    await daemon.engine.close()
    assert (await pet(daemon)).status == "exited"
    async with served(daemon.fakes, daemon.paths) as second:
        if back:
            await running_again(second)
        assert (await pet(second)).status == ("running" if back else "exited")
        assert (await pet(second)).restart_count == 0


async def test_a_wait_goes_on_with_the_next_daemon(daemon: Daemon, timing: FakeTiming) -> None:
    await create(daemon, "on-failure", "hang", retries=2)
    await start_and_crash(daemon, timing)
    await daemon.engine.close()
    assert (await pet(daemon)).status == "restarting"
    async with served(daemon.fakes, daemon.paths) as second:
        await running_again(second)
        assert (await pet(second)).restart_count == 1


async def test_a_guest_that_the_host_took_along_comes_back(daemon: Daemon, timing: FakeTiming) -> None:
    """As after a reboot: the state says running, and no machine does."""
    identity = await create(daemon, "on-failure", "hang")
    await daemon.engine.start("pet")
    (machine,) = daemon.fakes.machines.running.values()
    live = daemon.engine.forget(identity)
    assert live.task
    live.task.cancel()  # the daemon is dead
    machine.end(-9)
    async with served(daemon.fakes, daemon.paths) as second:
        await running_again(second)


async def test_only_so_many_guests_are_brought_back_at_once(
    daemon: Daemon, timing: FakeTiming, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await create(daemon, "always", "hang", name=f"pet{number}")
        await daemon.engine.start(f"pet{number}")
    await daemon.engine.close()
    monkeypatch.setattr("linwin.engine.restarts.AT_ONCE", 2)
    daemon.fakes.machines.gate = gate = Gate()
    async with served(daemon.fakes, daemon.paths) as second:
        await gate.reached.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        statuses = sorted(container.status for container in await second.engine.list())
        assert statuses == ["restarting"] * 3 + ["starting"] * 2
        gate.opened.set()
