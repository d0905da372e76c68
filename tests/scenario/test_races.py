"""What may happen to a container while something else happens to it."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from linwin.engine.engine import Engine
from linwin.engine.live import Exit
from linwin.errors import CommandNotFound, Conflict, Internal, NotFound, Unavailable
from linwin.model.container import Container, Status
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.state import FakeState
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.test_lifecycle import create, in_time

__all__ = ["in_time"]


@pytest.fixture
def state(daemon: Daemon) -> FakeState:
    assert isinstance(daemon.fakes.state, FakeState)
    return daemon.fakes.state


# A start that does not come to its end


@pytest.mark.parametrize(("gated", "becomes"), [("starting", "created"), ("running", "exited")])
async def test_a_start_that_is_cancelled_at_a_commit_is_taken_back(
    daemon: Daemon, state: FakeState, gated: Status, becomes: Status
) -> None:
    """The change is committed although whoever made it never hears of that."""
    await create(daemon, "stubborn")
    state.gates[gated] = gate = Gate()
    start = asyncio.create_task(daemon.engine.start("pet"))
    await gate.reached.wait()
    start.cancel()
    assert isinstance((await asyncio.gather(start, return_exceptions=True))[0], asyncio.CancelledError)
    container = await daemon.engine.inspect("pet")
    assert (container.status, container.pid) == (becomes, 0)
    assert container.error == "the start was cut short: CancelledError()"
    assert not daemon.fakes.machines.running
    del state.gates[gated]
    assert await daemon.engine.start("pet")


async def test_a_cancelled_start_of_an_auto_removed_container_removes_it(daemon: Daemon) -> None:
    daemon.fakes.machines.gate = gate = Gate()
    await create(daemon, "echo", auto_remove=True)
    start = asyncio.create_task(daemon.engine.start("pet"))
    await gate.reached.wait()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    assert await daemon.nothing_left()


async def test_an_error_of_the_host_leaves_nothing_starting(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    await create(daemon, "echo")
    monkeypatch.setattr(daemon.fakes.disks, "overlay", full)
    with pytest.raises(Unavailable, match=r"^cannot start container .*No space left on device"):
        await daemon.engine.start("pet")
    container = await daemon.engine.inspect("pet")
    assert (container.status, container.exit_code) == ("created", 128)


async def test_who_waits_for_a_failing_start_learns_of_it(daemon: Daemon) -> None:
    daemon.fakes.machines.gate = gate = Gate()
    daemon.fakes.guests.silent = True
    await create(daemon, "echo")
    start = asyncio.create_task(daemon.engine.start("pet"))
    await gate.reached.wait()
    waiter = await daemon.engine.wait("pet", "not-running")
    attachment = await daemon.engine.attach(
        "pet", stdin=False, stdout=True, stderr=True, logs=False, stream=True
    )
    gate.opened.set()
    with pytest.raises(Unavailable):
        await start
    assert await waiter == Exit(128, "the guest's agent did not say hello within 300 s")
    assert [data async for _, data in attachment] == []


async def test_a_second_start_that_fails_keeps_the_disk(daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    await daemon.engine.start("pet")
    await daemon.settled()
    daemon.fakes.machines.broken = "no machine today"
    with pytest.raises(Unavailable, match="no machine today"):
        await daemon.engine.start("pet")
    assert (await daemon.engine.inspect("pet")).status == "exited"
    assert daemon.paths.overlay(container).exists()


async def test_a_failed_removal_does_not_hide_why_the_start_failed(daemon: Daemon) -> None:
    container = await create(daemon, "nonesuch", auto_remove=True)
    daemon.fakes.state.full = {"removing"}  # type: ignore[attr-defined]
    with pytest.raises(CommandNotFound):
        await daemon.engine.start("pet")
    daemon.fakes.state.full = set()  # type: ignore[attr-defined]
    assert (await daemon.engine.inspect(container)).exit_code == 127


async def test_a_start_of_a_stopping_container_leaves_its_streams_alone(daemon: Daemon) -> None:
    await create(daemon, "hang")
    attachment = await daemon.engine.attach(
        "pet", stdin=False, stdout=True, stderr=True, logs=False, stream=True
    )
    await daemon.engine.start("pet")
    stop = asyncio.create_task(daemon.engine.stop("pet", timeout=-1))
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="is stopping"):
        await daemon.engine.start("pet")
    await stop
    assert b"".join([data async for _, data in attachment]) == b"hanging\ngot TERM\n"


# Removals


async def test_two_removals_at_once_both_succeed(daemon: Daemon) -> None:
    await create(daemon, "stubborn")
    await daemon.engine.start("pet")
    await asyncio.gather(*(daemon.engine.remove("pet", force=True) for _ in range(3)))
    with pytest.raises(NotFound):
        await daemon.engine.remove("pet")
    assert await daemon.nothing_left()
    assert not daemon.engine._live


async def test_a_forced_removal_and_an_automatic_one(daemon: Daemon) -> None:
    await create(daemon, "stubborn", auto_remove=True)
    await daemon.engine.start("pet")
    watching = daemon.engine.watching()
    waiter = await daemon.engine.wait("pet", "removed")
    await daemon.engine.remove("pet", force=True)
    await asyncio.gather(*watching)
    assert (await waiter).code == 137
    assert not daemon.engine._live


async def test_a_forced_removal_while_the_program_ends(daemon: Daemon) -> None:
    await create(daemon, "echo")
    for _ in range(3):
        await daemon.engine.start("pet")
        await asyncio.sleep(0)
        await daemon.engine.remove("pet", force=True)
        await create(daemon, "echo")


async def test_a_removal_that_fails_says_why_and_can_be_repeated(daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    obstacle = daemon.paths.container(container)
    obstacle.write_text("a file where a folder should be")
    waiter = await daemon.engine.wait("pet", "removed")
    with pytest.raises(Unavailable) as caught:
        await daemon.engine.remove("pet")
    sentence = f'cannot remove container "/pet": {obstacle}: Not a directory'
    assert caught.value.message == sentence
    assert caught.value.hint == "Put right what keeps the file, then try again: linwin rm pet"
    assert await waiter == Exit(0, sentence)
    assert (await daemon.engine.inspect("pet")).status == "dead"
    obstacle.unlink()
    await daemon.engine.remove("pet")


# Ends


async def test_a_client_that_does_not_read_keeps_nothing_from_ending(daemon: Daemon) -> None:
    await create(daemon, "flood", "9000000")
    attachment = await daemon.engine.attach(
        "pet", stdin=False, stdout=True, stderr=True, logs=False, stream=True
    )
    await daemon.engine.start("pet")
    assert await daemon.engine.stop("pet", timeout=0)
    received = sum([len(data) async for _, data in attachment])
    assert 0 < received < 9_000_000


async def test_an_end_that_cannot_be_recorded_is_told_and_made_up_for(
    daemon: Daemon, state: FakeState
) -> None:
    await create(daemon, "stubborn")
    await daemon.engine.start("pet")
    waiter = await daemon.engine.wait("pet", "next-exit")
    state.full = {"exited"}
    with pytest.raises(Unavailable, match="database or disk is full"):
        await daemon.engine.kill("pet", "KILL")
    assert (await waiter).code == 137
    assert not daemon.fakes.machines.running
    state.full = set()
    assert await daemon.engine.start("pet")


async def test_a_guest_that_answers_nothing_is_ended_with_its_machine(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(name: str) -> None:
        raise Internal("the guest's agent failed: out of sorts")

    await create(daemon, "stubborn")
    await daemon.engine.start("pet")
    monkeypatch.setattr(daemon.fakes.guests.last, "signal", fail)
    assert await daemon.engine.stop("pet", timeout=10)
    assert (await daemon.engine.inspect("pet")).status == "exited"
    assert not daemon.fakes.machines.running


async def test_waiters_that_give_up_are_forgotten(daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    await daemon.engine.wait("pet", "not-running")
    (await daemon.engine.wait("pet", "next-exit")).cancel()
    await asyncio.sleep(0)
    assert not any(daemon.engine.live(container).waiters._waiting.values())


async def test_an_image_is_not_removed_under_a_container_that_is_being_created(daemon: Daemon) -> None:
    creating = asyncio.create_task(create(daemon, "echo"))
    removing = asyncio.create_task(daemon.engine.remove_image(IMAGE, force=False))
    await creating
    with pytest.raises(Conflict, match="a container uses it"):
        await removing


# Daemons


@pytest.fixture
async def left(daemon: Daemon) -> Container:
    """A container at rest, which a test puts into the state that a dead daemon left it in."""
    return await daemon.engine.inspect(await create(daemon, "stubborn"))


async def recovered(daemon: Daemon, left: Container, status: Status, **changes: object) -> Engine:
    """Another daemon's engine over the same rooms."""
    containers = daemon.fakes.state.containers  # type: ignore[attr-defined]
    containers[left.id] = dataclasses.replace(left, status=status, **changes)  # type: ignore[arg-type]
    engine = Engine(daemon.fakes.rooms, daemon.paths)
    await engine.open()
    return engine


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("created", "created"),
        ("starting", "created"),
        ("running", "exited"),
        ("stopping", "exited"),
        ("exited", "exited"),
        ("dead", "dead"),
    ],
)
async def test_recovery_without_a_machine(
    daemon: Daemon, left: Container, status: Status, becomes: Status
) -> None:
    engine = await recovered(daemon, left, status, pid=1)
    found = await engine.inspect("pet")
    assert found.status == becomes
    if status in ("running", "stopping"):
        assert (found.exit_code, found.pid) == (255, 0)
        assert found.error == "the container's guest ended while no daemon was running"


async def test_recovery_finishes_a_removal(daemon: Daemon, left: Container) -> None:
    await recovered(daemon, left, "removing")
    assert await daemon.nothing_left()


async def test_a_copy_that_a_dead_daemon_left_unfinished_is_deleted(daemon: Daemon, left: Container) -> None:
    unfinished = daemon.paths.unfinished_overlay(left.id)
    unfinished.parent.mkdir(exist_ok=True)
    unfinished.write_bytes(b"half")
    await recovered(daemon, left, "created")
    assert not unfinished.exists()


async def test_a_recovery_that_fails_stops_no_other(daemon: Daemon, left: Container) -> None:
    daemon.paths.container(left.id).write_text("in the way")
    engine = await recovered(daemon, left, "removing")
    assert (await engine.inspect("pet")).status == "dead"
    daemon.paths.container(left.id).unlink()


@pytest.mark.parametrize("status", ["starting", "running", "stopping", "exited"])
async def test_recovery_removes_what_was_to_be_removed(
    daemon: Daemon, left: Container, status: Status
) -> None:
    spec = dataclasses.replace(left.spec, auto_remove=True)
    await recovered(daemon, dataclasses.replace(left, spec=spec), status)
    assert await daemon.nothing_left()


@pytest.mark.parametrize("status", ["starting", "running", "stopping"])
@pytest.mark.parametrize("spawned", [True, False])
async def test_recovery_with_a_machine(
    daemon: Daemon, left: Container, status: Status, spawned: bool
) -> None:
    """A machine whose guest does not know the program is ended; one that does is gone on with."""
    await daemon.engine.start("pet")
    running = await daemon.engine.inspect("pet")
    (task,) = daemon.engine.watching()
    task.cancel()
    await asyncio.wait([task])
    daemon.engine.forget(left.id)
    if not spawned:
        guest = next(iter(daemon.fakes.guests._guests.values()))
        (process,) = guest.running.values()
        await process.end()
        guest.running.clear()
    engine = await recovered(daemon, running, status)
    found = await engine.inspect("pet")
    if spawned and status != "stopping":
        assert found.status == "running"
        await engine.remove("pet", force=True)
    else:
        await asyncio.gather(*engine.watching())
        assert (await engine.inspect("pet")).status == "exited"
    assert not daemon.fakes.machines.running


async def test_a_daemon_that_ends_during_a_start_stops_the_container(daemon: Daemon) -> None:
    daemon.fakes.machines.gate = gate = Gate()
    await create(daemon, "hang")
    start = asyncio.create_task(daemon.engine.start("pet"))
    await gate.reached.wait()
    close = asyncio.create_task(daemon.engine.close())
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(start, close)
    assert (await daemon.engine.inspect("pet")).status == "exited"
    assert not daemon.fakes.machines.running
