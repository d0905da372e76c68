"""Where two verbs, or a verb and the daemon's own work, meet over one container."""

from __future__ import annotations

import asyncio

import pytest

from linwin.engine import restarts
from linwin.errors import Conflict, Unavailable
from linwin.model.container import Container, ContainerSpec, Update
from linwin.model.exec import ExecSpec
from linwin.model.machine import MachineSpec, Room
from linwin.model.restart import RestartPolicy
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.timing import FakeTiming
from tests.scenario.harness import IMAGE, Daemon, served
from tests.scenario.test_lifecycle import in_time
from tests.scenario.test_restart_policies import create, pet, start_and_crash, timing

__all__ = ["in_time", "timing"]


def actions(daemon: Daemon) -> list[str]:
    past = [event for event in daemon.engine.events._past if event.kind == "container"]
    return [f"{event.action} {event.attributes['name']}" for event in past]


async def test_a_signal_during_a_stop_leaves_the_stop_final(daemon: Daemon, timing: FakeTiming) -> None:
    spec = ContainerSpec(image=IMAGE, cmd=("stubborn",), stop_signal="INT", restart=RestartPolicy("always"))
    await daemon.engine.create(spec, "pet")
    await daemon.engine.start("pet")
    stop = asyncio.create_task(daemon.engine.stop("pet", timeout=30))
    assert await daemon.fakes.guests.last.signals.get() == "INT"
    await daemon.engine.kill("pet", "TERM")
    await daemon.fakes.guests.last.signal("KILL")
    assert await stop
    assert (await pet(daemon)).status == "exited"


async def test_a_restart_that_begins_as_the_daemon_ends_is_stopped_too(
    daemon: Daemon, timing: FakeTiming, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(daemon, "always", "hang")
    await start_and_crash(daemon, timing)
    gate, machines = Gate(), daemon.fakes.machines

    async def room(spec: MachineSpec) -> Room:
        await gate.passed()
        return Room(612, 32768, 65536)

    monkeypatch.setattr(machines, "room", room)
    timing.advance(0.1)
    await gate.reached.wait()
    close = asyncio.create_task(daemon.engine.close())
    for _ in range(50):
        await asyncio.sleep(0)
    assert daemon.engine.closing
    gate.opened.set()
    await close
    container = await pet(daemon)
    assert (container.status, container.stopped_by_hand) == ("exited", False)
    assert not machines.running


async def test_a_removal_between_an_end_and_its_restart(
    daemon: Daemon, timing: FakeTiming, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = await create(daemon, "always", "stubborn")
    await daemon.engine.start("pet")
    gate, follow = Gate(), daemon.engine.follow_restart

    async def held(container_id: str) -> None:
        await gate.passed()
        await follow(container_id)

    monkeypatch.setattr(daemon.engine, "follow_restart", held)
    (task,) = daemon.engine.watching()
    await daemon.fakes.guests.last.signal("KILL")
    await gate.reached.wait()
    await daemon.engine.remove("pet", force=True)
    gate.opened.set()
    await task
    assert identity not in daemon.engine._live


async def test_an_exec_is_started_once(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    get = daemon.fakes.state.get

    async def slow(reference: str) -> Container:
        container = await get(reference)
        await asyncio.sleep(0)
        return container

    monkeypatch.setattr(daemon.fakes.state, "get", slow)
    await create(daemon, "no", "hang")
    await daemon.engine.start("pet")
    exec_ = await daemon.engine.exec_create("pet", ExecSpec(("stubborn",)))
    starts = [daemon.engine.exec_start(exec_, (0, 0)) for _ in range(2)]
    first, second = await asyncio.gather(*starts, return_exceptions=True)
    assert first is None
    assert isinstance(second, Conflict)
    assert second.message == f"exec command {exec_.id} is already running"
    assert [action for action in actions(daemon) if action.startswith("exec_start")] == [
        "exec_start: stubborn pet"
    ]


async def test_files_of_one_that_lost_its_disk(daemon: Daemon) -> None:
    identity = await create(daemon, "no", "echo", "hi")
    await daemon.engine.start("pet")
    await daemon.settled()
    daemon.paths.overlay(identity).unlink()
    await daemon.engine.archive_stat("pet", "/")
    assert daemon.paths.overlay(identity).exists()
    assert (await pet(daemon)).status == "exited"


async def test_an_update_is_told(daemon: Daemon) -> None:
    await create(daemon, "no", "hang")
    await daemon.engine.update("pet", Update(restart=RestartPolicy("always")))
    assert actions(daemon) == ["create pet", "update pet"]


async def test_what_is_renamed_while_it_ends_is_told_by_its_new_name(daemon: Daemon) -> None:
    await create(daemon, "no", "stubborn")
    await daemon.engine.start("pet")
    stop = asyncio.create_task(daemon.engine.stop("pet", timeout=30))
    await daemon.fakes.guests.last.signals.get()
    await daemon.engine.rename("pet", "beast")
    await daemon.fakes.guests.last.signal("KILL")
    await stop
    assert actions(daemon)[-2:] == ["die beast", "stop beast"]


async def test_a_state_that_cannot_be_written_keeps_no_daemon_from_starting(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        await create(daemon, "always", "hang", name=name)
        await daemon.engine.start(name)
    await daemon.engine.close()
    state, advance = daemon.fakes.state, daemon.fakes.state.advance
    failed: list[str] = []

    async def once(container_id: str, status: str, **changes: object) -> object:
        if status == "restarting" and not failed:
            failed.append(container_id)
            raise Unavailable("the disk is full")
        return await advance(container_id, status, **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(state, "advance", once)
    async with served(daemon.fakes, daemon.paths) as second:
        statuses = {container.id: container.status for container in await second.engine.list()}
        assert statuses.pop(failed[0]) == "exited"
        assert "exited" not in statuses.values()


async def test_a_start_that_a_dead_daemon_left_gives_the_disk_to_the_user_of_the_record(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon killed between the two leaves the disk to a user whom another machine may be given."""
    identity = await create(daemon, "no", "echo", "hi")
    await daemon.engine.start("pet")
    await daemon.settled()
    owned: list[tuple[object, int]] = []
    monkeypatch.setattr("linwin.engine.pool.os.chown", lambda path, uid, gid: owned.append((path, uid)))
    await daemon.fakes.state.advance(identity, "starting", uid=1_039_020_007)
    async with served(daemon.fakes, daemon.paths) as second:
        assert (await second.engine.inspect("pet")).status == "exited"
    assert owned == [(daemon.paths.overlay(identity), 1_039_020_007)]


async def test_an_exec_that_ends_after_a_rename_is_told_by_the_new_name(daemon: Daemon) -> None:
    await create(daemon, "no", "hang")
    await daemon.engine.start("pet")
    exec_ = await daemon.engine.exec_create("pet", ExecSpec(("stubborn",)))
    await daemon.engine.exec_start(exec_, (0, 0))
    await daemon.engine.rename("pet", "beast")
    await daemon.fakes.guests.last.signal("KILL")
    assert exec_.task
    await exec_.task
    assert actions(daemon)[-1] == "exec_die beast"


async def test_an_end_that_is_seen_during_the_recovery_is_followed_once(
    daemon: Daemon, timing: FakeTiming
) -> None:
    identity = await create(daemon, "always", "stubborn")
    await start_and_crash(daemon, timing)
    task = daemon.engine.live(identity).task
    await restarts.bring_back(daemon.engine)
    assert daemon.engine.live(identity).task is task
    assert timing.waits.empty()
