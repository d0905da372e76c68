"""Guests that wait for a container: taken, replaced, dropped, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import OutOfMemory, Unavailable
from linwin.model.container import ContainerSpec
from linwin.model.machine import FIRST_NIC, LinuxBoot, MachineSpec
from linwin.model.pool import PoolPlan
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.guest import Death
from tests.scenario.fakes.machine import FakeMachine
from tests.scenario.harness import IMAGE, Daemon, make_root, served


@pytest.fixture
async def pooled(tmp_path: Path) -> AsyncIterator[Daemon]:
    """A daemon with two guests in its pool."""
    fakes = Fakes()
    async with served(fakes, make_root(tmp_path), pool=PoolPlan(size=2)) as daemon:
        await filled(daemon)
        yield daemon
    assert fakes.machines.running == {}
    assert list(daemon.paths.pool.iterdir()) == []


async def filled(daemon: Daemon) -> None:
    """Return when the pool is as full as it gets."""
    filling = daemon.engine.pool._filling
    assert filling is not None
    await filling


def waiting(daemon: Daemon) -> set[FakeMachine]:
    return {machine for machine in daemon.fakes.machines.running.values() if machine.paused}


async def run(daemon: Daemon, *cmd: str, **options: int | bool) -> str:
    spec = replace(ContainerSpec(IMAGE, cmd=cmd), **options)  # type: ignore[arg-type]
    made = await daemon.engine.create(spec, None)
    await daemon.engine.start(made.id)
    return made.id


async def test_guests_wait_halted(pooled: Daemon) -> None:
    machines = waiting(pooled)
    assert len(machines) == 2
    assert {machine.spec.run_dir.parent for machine in machines} == {pooled.paths.pool}
    guests = [pooled.fakes.guests._guests[machine] for machine in machines]
    assert all(guest.rehearsed and guest.resting for guest in guests)
    shown = await asyncio.to_thread(pooled.client.get, "/info")
    assert ["Pool", "2 of 2 guests ready"] in shown["DriverStatus"]


async def test_a_container_takes_one_and_another_is_restored(pooled: Daemon) -> None:
    before = waiting(pooled)
    identity = await run(pooled, "hang")
    container = await pooled.engine.rooms.state.get(identity)
    machine = pooled.fakes.machines.running[container.pid]
    assert machine in before
    assert not machine.paused
    assert machine.spec.run_dir == pooled.paths.machine(identity)
    assert (container.boot, container.uid) == ("restored", machine.spec.uid)
    await filled(pooled)
    assert len(waiting(pooled)) == 2
    assert len(waiting(pooled) - before) == 1
    await pooled.engine.remove(identity, force=True)


async def test_no_two_machines_share_a_user(pooled: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.engine.create.os.geteuid", lambda: 0)
    monkeypatch.setattr("linwin.engine.pool.os.chown", lambda *_: None)
    await pooled.engine.pool.drop()
    pooled.engine.pool.refill()
    await filled(pooled)
    identities = [await run(pooled, "hang") for _ in range(4)]
    await filled(pooled)
    containers = [await pooled.engine.rooms.state.get(identity) for identity in identities]
    uids = [container.uid for container in containers] + list(pooled.engine.pool.uids)
    assert len(set(uids)) == len(uids) == 6
    running = pooled.fakes.machines.running
    assert all(running[container.pid].spec.uid == container.uid for container in containers)
    for identity in identities:
        await pooled.engine.remove(identity, force=True)


@pytest.mark.parametrize("options", [{"memory": 700 << 20}, {"cpus": 3}, {"cold": True}])
async def test_what_does_not_suit_is_not_taken(pooled: Daemon, options: dict[str, int | bool]) -> None:
    before = waiting(pooled)
    identity = await run(pooled, "hang", **options)
    assert waiting(pooled) == before
    await pooled.engine.remove(identity, force=True)


async def test_a_guest_that_died_is_skipped_and_replaced(
    pooled: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    dead = pooled.engine.pool._ready[0].machine
    assert isinstance(dead, FakeMachine)
    dead.end(-9)
    identity = await run(pooled, "hang")
    assert "a guest of the pool was of no use: the machine ended before it answered" in caplog.text
    await filled(pooled)
    assert len(waiting(pooled)) == 2
    ids = {machine.spec.id for machine in waiting(pooled)}
    assert {entry.name for entry in pooled.paths.pool.iterdir()} == ids | {f"{id}.qcow2" for id in ids}
    await pooled.engine.remove(identity, force=True)


async def test_guests_without_a_nic_make_room_once_there_are_networks(tmp_path: Path) -> None:
    fakes = Fakes()
    fakes.networks.why_not = "there is no nft"
    async with served(fakes, make_root(tmp_path), pool=PoolPlan(size=1)) as daemon:
        await filled(daemon)
        (without,) = waiting(daemon)
        assert without.nics == {}
        fakes.networks.why_not = ""
        identity = await run(daemon, "hang")
        await filled(daemon)
        (with_nic,) = waiting(daemon)
        assert without.exited.done()
        assert list(with_nic.nics) == [FIRST_NIC]
        await daemon.engine.remove(identity, force=True)


async def test_a_host_that_makes_no_taps_has_an_empty_pool_and_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse() -> int:
        raise Unavailable("cannot make a tap: Too many open files")

    fakes = Fakes()
    monkeypatch.setattr(fakes.networks, "spare_tap", refuse)
    async with served(fakes, make_root(tmp_path), pool=PoolPlan(size=1)) as daemon:
        await filled(daemon)
        assert "the pool is not full: cannot make a tap: Too many open files" in caplog.text
        with pytest.raises(Unavailable, match=r"^cannot make a tap: Too many open files$"):
            await run(daemon, "hang")
        assert (fakes.machines.running, fakes.networks.applied.attachments) == ({}, ())
        (container,) = await daemon.engine.list()
        await daemon.engine.remove(container.id)
        assert await daemon.nothing_left()


async def test_an_empty_pool_is_no_obstacle(pooled: Daemon) -> None:
    identities = [await run(pooled, "hang") for _ in range(4)]
    for identity in identities:
        container = await pooled.engine.rooms.state.get(identity)
        assert container.boot == "restored"
        await pooled.engine.remove(identity, force=True)
    await filled(pooled)


async def test_a_failed_start_ends_the_guest_it_took(pooled: Daemon) -> None:
    with pytest.raises(Exception, match="The system cannot find the file specified"):
        await run(pooled, "no-such-program")
    (container,) = await pooled.engine.list()
    assert container.status == "created"
    assert pooled.fakes.machines.running.keys() == {machine.pid for machine in waiting(pooled)}
    await pooled.engine.remove(container.id)


async def test_memory_goes_to_containers_first(pooled: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    machines = pooled.fakes.machines
    boot = machines.boot

    async def short(spec: MachineSpec, tap: int | None) -> FakeMachine:
        if waiting(pooled):
            raise OutOfMemory("not enough memory for a guest of 700 MiB")
        return await boot(spec, tap)

    monkeypatch.setattr(machines, "boot", short)
    identity = await run(pooled, "hang", memory=700 << 20)
    assert (await pooled.engine.rooms.state.get(identity)).boot == "restored"
    await pooled.engine.remove(identity, force=True)


async def test_a_removed_checkpoint_takes_its_guests_along(pooled: Daemon) -> None:
    before = waiting(pooled)
    (template,) = await pooled.engine.templates()
    pooled.fakes.machines.warm = False
    made = await pooled.engine.checkpoints.make(template, pooled.engine.unreported)
    assert made is not None
    await pooled.engine.checkpoints.remove(made.key)
    await filled(pooled)
    assert waiting(pooled) == set()
    assert before
    await pooled.engine.checkpoints.make(template, pooled.engine.unreported)
    await filled(pooled)
    assert len(waiting(pooled)) == 2


async def test_the_next_daemon_ends_what_a_killed_one_left(tmp_path: Path) -> None:
    fakes, paths = Fakes(), make_root(tmp_path)
    left = paths.pool / "pool-01234567"
    left.mkdir(parents=True)
    left.with_suffix(".qcow2").touch()
    (paths.pool / "pool-89abcdef.qcow2.new").touch()  # it was killed while it made this disk
    nothing = Path()
    boot = LinuxBoot(nothing, nothing, "", nothing)
    spec = MachineSpec("pool-01234567", boot, memory=1, cpus=1, run_dir=left)
    adopted = FakeMachine(fakes.machines, spec, 0)
    fakes.machines.running[0] = adopted  # recovery knows no pid, and finds it by its folder
    async with served(fakes, paths):
        assert fakes.machines.running == {}
        assert adopted.exited.done()
        assert list(paths.pool.iterdir()) == []


async def test_a_start_that_is_cancelled_while_it_wakes_a_guest_ends_it(
    pooled: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, taken = Gate(), pooled.engine.pool._ready[0].machine
    assert isinstance(taken, FakeMachine)
    monkeypatch.setattr(taken, "resume", gate.passed)
    starting = asyncio.create_task(run(pooled, "hang"))
    await gate.reached.wait()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert taken.exited.done()
    assert not taken.spec.run_dir.exists()


@pytest.mark.parametrize("step", ["move", "insert_disk", "resume"])
async def test_a_guest_that_could_not_be_given_leaves_the_container_its_user(
    pooled: Daemon, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Its machine runs as the user that the record names, or another container may be given that one."""
    monkeypatch.setattr("linwin.engine.create.os.geteuid", lambda: 0)
    monkeypatch.setattr("linwin.engine.pool.os.chown", lambda *_: None)
    await pooled.engine.pool.drop()
    pooled.engine.pool.refill()
    await filled(pooled)

    async def stuck(self: FakeMachine, *_: Path) -> None:
        raise Unavailable(f"the machine is stuck at its {step}")

    monkeypatch.setattr(FakeMachine, step, stuck)
    identity = await run(pooled, "hang")
    container = await pooled.engine.rooms.state.get(identity)
    assert pooled.fakes.machines.running[container.pid].spec.uid == container.uid
    await filled(pooled)
    await pooled.engine.remove(identity, force=True)


async def test_room_that_only_the_filling_took_is_found(
    pooled: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guest that is being restored gives way, and what it held is counted anew."""
    machines = pooled.fakes.machines
    await pooled.engine.pool.drop()
    machines.gate = gate = Gate()
    pooled.engine.pool.refill()
    await gate.reached.wait()
    machines.gate, machines.available = None, 700
    assert await pooled.engine.pool.drop()
    machines.available = 32768


async def test_a_guest_of_the_pool_that_is_lost_is_replaced_by_one_that_boots(pooled: Daemon) -> None:
    guests = pooled.fakes.guests
    for machine in waiting(pooled):
        guests._guests[machine].dies = Death("the guest's agent broke the protocol: it sang", None)
    told: list[str] = []
    made = await pooled.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "pet")
    await pooled.engine.start(made.id, told.append)
    container = await pooled.engine.rooms.state.get(made.id)
    assert (container.status, container.boot) == ("running", "cold")
    assert told == [
        "the guest booted cold: the one that was restored was lost: the guest's agent broke the protocol: "
        "it sang; last console lines: Kernel panic: this is a fake"
    ]
    (machine,) = {one for one in pooled.fakes.machines.running.values() if one.spec.id == made.id}
    assert machine.spec.uid == container.uid
    await pooled.engine.remove("pet", force=True)
    await filled(pooled)
