"""Networks when something fails or the daemon dies: nothing is lost, and nothing stays that nobody wants."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from linwin.engine.attach import nic_id
from linwin.engine.engine import Engine
from linwin.errors import Forbidden, LinwinError, NotFound, Unavailable
from linwin.model.container import Container, ContainerSpec
from linwin.model.machine import FIRST_MAC, FIRST_NIC
from linwin.model.network import (
    Attachment,
    EndpointSpec,
    HostNetworks,
    Interface,
    NetworkSpec,
    PortBinding,
    PortRequest,
)
from linwin.model.pool import PoolPlan
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.gate import Gate
from tests.scenario.harness import IMAGE, Daemon, make_root, served
from tests.scenario.networking import attached
from tests.scenario.test_small_verbs import guest_of

SPEC = ContainerSpec(IMAGE, cmd=("hang",), ports=(PortRequest(80, "tcp"),))


async def started(daemon: Daemon, name: str = "box") -> str:
    made = await daemon.engine.create(SPEC, name)
    await daemon.engine.start(name)
    return made.id


async def refusal(_: HostNetworks) -> None:
    raise Unavailable("nft: this is a fake")


@pytest.fixture
async def doomed(tmp_path: Path) -> Daemon:
    """A daemon that will be killed: nothing closes it."""
    fakes, paths = Fakes(), make_root(tmp_path)
    engine = Engine(fakes.rooms, paths)
    await engine.open()
    return Daemon(engine, paths, fakes)


async def die(daemon: Daemon) -> None:
    """Leave everything as a daemon leaves it that is killed."""
    for task in daemon.engine.watching():
        task.cancel()
    await asyncio.wait(daemon.engine.watching())


def note(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> list[HostNetworks]:
    """All that the host is told from now on, in order."""
    room, seen = daemon.fakes.networks, list[HostNetworks]()
    apply = room.apply

    async def noting(desired: HostNetworks) -> None:
        await apply(desired)
        seen.append(desired)

    monkeypatch.setattr(room, "apply", noting)
    return seen


@pytest.fixture
def failing(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A host that can do nothing, until the patch is undone."""
    monkeypatch.setattr(daemon.fakes.networks, "apply", refusal)
    return monkeypatch


async def test_a_new_daemon_tells_the_host_first_and_again_when_it_knows_who_lives(
    doomed: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await doomed.engine.networks.create(NetworkSpec("mine"))
    lives, dead = await started(doomed, "lives"), await started(doomed, "dead")
    before, told = attached(doomed), note(doomed, monkeypatch)
    await die(doomed)
    doomed.fakes.machines.running.pop((await doomed.engine.inspect("dead")).pid)
    doomed.fakes.networks.applied = HostNetworks()  # as after a reboot of everything but the guests
    adopted_after: list[int] = []
    adopt = doomed.fakes.machines.adopt

    async def noting(spec: object, pid: int) -> object:
        adopted_after.append(len(told))
        return await adopt(spec, pid)  # type: ignore[arg-type]

    monkeypatch.setattr(doomed.fakes.machines, "adopt", noting)
    async with served(doomed.fakes, doomed.paths) as second:
        assert set(told[0].attachments) == set(before)
        assert min(adopted_after) >= 1
        assert {one.container_id for one in attached(second)} == {lives}
        assert [network.name for network in told[-1].networks] == ["mine", "nat"]
        assert (await second.engine.inspect(dead)).attachments == ()
        # Its address and its ports are its own still.
        await second.engine.start("dead")
        assert len({one.ipv4 for one in attached(second)}) == 2
        assert len({port.host_port for one in attached(second) for port in one.ports}) == 2


@pytest.mark.parametrize("half", ["connect", "disconnect"])
async def test_a_change_that_a_dead_daemon_left_half_way_is_taken_back(doomed: Daemon, half: str) -> None:
    await doomed.engine.networks.create(NetworkSpec("mine"))
    await started(doomed)
    machine, guest = guest_of(doomed)
    await doomed.engine.networks.connect("mine", "box", EndpointSpec("mine"))
    container = await doomed.engine.inspect("box")
    # Of a connect the record of what was asked for comes last, of a disconnect it comes first.
    spec = dataclasses.replace(container.spec, endpoints=(EndpointSpec("nat"),))
    await doomed.fakes.state.amend(container.id, spec=spec)
    if half == "connect":  # the guest was not told yet
        guest.interfaces.pop(container.attachments[1].mac)
        machine.nics.pop(nic_id(container.attachments[1]))
    await die(doomed)
    async with served(doomed.fakes, doomed.paths) as second:
        (left,) = attached(second)
        assert left == container.attachments[0]
        assert list(machine.nics) == [nic_id(left)]
        assert list(guest.interfaces) == [left.mac]


async def test_a_start_that_a_dead_daemon_left_holds_nothing(doomed: Daemon) -> None:
    identity = await started(doomed)
    await doomed.engine.stop("box", timeout=None)
    attachment = dataclasses.replace(_attachment(doomed, identity), ports=(PortBinding(80, "tcp", "", 80),))
    await doomed.fakes.state.advance(identity, "starting", attachments=(attachment,))
    async with served(doomed.fakes, doomed.paths) as second:
        assert ((await second.engine.inspect("box")).status, attached(second)) == ("exited", ())


def _attachment(daemon: Daemon, container_id: str) -> Attachment:
    (nat,) = daemon.fakes.networks.applied.networks
    return Attachment("e" * 64, nat.id, container_id, "02:42:0a:01:00:02", "10.1.0.2")


async def test_a_network_that_the_host_refuses_is_not_made(
    daemon: Daemon, failing: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable, match="nft: this is a fake"):
        await daemon.engine.networks.create(NetworkSpec("mine"))
    assert [one.name for one in await daemon.engine.networks.list()] == ["nat", "none"]


async def test_a_start_that_the_host_refuses_leaves_nothing(
    daemon: Daemon, failing: pytest.MonkeyPatch
) -> None:
    await daemon.engine.create(SPEC, "box")
    with pytest.raises(Unavailable, match="nft: this is a fake"):
        await daemon.engine.start("box")
    container = await daemon.engine.inspect("box")
    assert (container.status, container.attachments) == ("created", ())
    failing.undo()
    await daemon.engine.start("box")
    assert len(attached(daemon)) == 1


async def test_an_end_that_the_host_does_not_hear_of_is_told_with_the_next_change(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(daemon)
    monkeypatch.setattr(daemon.fakes.networks, "apply", refusal)
    await daemon.engine.stop("box", timeout=None)
    assert len(attached(daemon)) == 1
    monkeypatch.undo()
    await daemon.engine.networks.create(NetworkSpec("mine"))
    assert attached(daemon) == ()


async def test_a_connect_that_the_guest_refuses_is_taken_back(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await daemon.engine.networks.create(NetworkSpec("mine"))
    await started(daemon)
    machine, guest = guest_of(daemon)
    before = await daemon.engine.inspect("box")

    async def refuse(_: Interface) -> None:
        raise Unavailable("the guest has no driver for its NIC")

    monkeypatch.setattr(guest, "connect_interface", refuse)
    with pytest.raises(Unavailable, match="the guest has no driver for its NIC"):
        await daemon.engine.networks.connect("mine", "box", EndpointSpec("mine"))
    assert await daemon.engine.inspect("box") == before
    assert (len(machine.nics), attached(daemon)) == (1, before.attachments)


@pytest.mark.parametrize("force", [False, True])
async def test_a_guest_that_does_not_let_go(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    await started(daemon)
    _, guest = guest_of(daemon)

    async def refuse(_: str) -> None:
        raise Unavailable("the guest does not answer")

    monkeypatch.setattr(guest, "forget_interface", refuse)
    failure: LinwinError | None = None
    try:
        await daemon.engine.networks.disconnect("nat", "box", force=force)
    except Unavailable as error:
        failure = error
    assert (failure is None) is force
    assert (attached(daemon) == ()) is force
    assert ((await daemon.engine.inspect("box")).spec.endpoints == ()) is force


async def test_changes_that_meet_share_what_the_host_is_told(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"box{number}" for number in range(8)]
    for name in names:
        await started(daemon, name)
    told, room, networks = note(daemon, monkeypatch), daemon.fakes.networks, daemon.engine.networks
    tell, apply, gate, all_asked = room.apply, networks.apply, Gate(), asyncio.Event()
    asked = 0

    async def held(desired: HostNetworks) -> None:
        await gate.passed()
        await tell(desired)

    async def asking() -> None:
        nonlocal asked
        asked += 1
        if asked == len(names):
            all_asked.set()
        await apply()

    monkeypatch.setattr(room, "apply", held)
    monkeypatch.setattr(networks, "apply", asking)
    stops = [asyncio.create_task(daemon.engine.stop(name, timeout=None)) for name in names]
    await asyncio.wait_for(all_asked.wait(), 10)
    gate.opened.set()
    await asyncio.gather(*stops)
    # Once for the one that came first, and once for all who came while the host was busy with it.
    assert len(told) == 2
    assert told[-1].attachments == ()


async def test_a_network_is_not_removed_under_a_container_that_starts(daemon: Daemon) -> None:
    await daemon.engine.networks.create(NetworkSpec("mine"))
    spec = dataclasses.replace(SPEC, endpoints=(EndpointSpec("mine"),))
    await daemon.engine.create(spec, "box")
    start = asyncio.create_task(daemon.engine.start("box"))
    await daemon.fakes.machines.booting.wait()
    with pytest.raises(Forbidden, match="has active endpoints"):
        await daemon.engine.networks.remove("mine")
    await start


@pytest.fixture
async def pooled(tmp_path: Path) -> AsyncIterator[Daemon]:
    fakes = Fakes()
    async with served(fakes, make_root(tmp_path), pool=PoolPlan(size=1)) as daemon:
        filling = daemon.engine.pool._filling
        assert filling is not None
        await filling
        yield daemon


async def test_a_guest_of_the_pool_gets_its_nic_when_it_is_taken(pooled: Daemon) -> None:
    (machine,) = pooled.fakes.machines.running.values()
    assert (machine.nics, machine.connected) == ({FIRST_NIC: FIRST_MAC}, False)
    await started(pooled)
    container = await pooled.engine.inspect("box")
    assert container.boot == "restored"
    assert container.pid == machine.pid
    (attachment,) = attached(pooled)
    assert (machine.nics, machine.connected) == ({FIRST_NIC: attachment.mac}, True)
    assert attachment.uid == container.uid == machine.spec.uid
    assert pooled.fakes.networks.taps == [attachment]
    await pooled.engine.remove("box", force=True)


async def test_a_rename_does_not_bring_back_what_has_ended(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(daemon)
    _, guest = guest_of(daemon)
    gate, shutdown, state_rename = Gate(), guest.shutdown, daemon.fakes.state.rename
    renamed = asyncio.Event()

    async def slow(*, timeout: float) -> None:
        await gate.passed()
        await shutdown(timeout=timeout)

    async def noting(container_id: str, name: str) -> Container:
        container = await state_rename(container_id, name)
        renamed.set()
        return container

    monkeypatch.setattr(guest, "shutdown", slow)
    monkeypatch.setattr(daemon.fakes.state, "rename", noting)
    stop = asyncio.create_task(daemon.engine.stop("box", timeout=None))
    await gate.reached.wait()
    rename = asyncio.create_task(daemon.engine.rename("box", "crate"))
    await renamed.wait()
    gate.opened.set()
    await asyncio.gather(stop, rename)
    assert ((await daemon.engine.inspect("crate")).attachments, attached(daemon)) == ((), ())


class NotedLock(asyncio.Lock):
    """``asked`` is set when somebody comes for the lock, who waits where another has it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def acquire(self) -> Literal[True]:
        self.asked.set()
        return await super().acquire()


@pytest.mark.parametrize("order", [("start", "rename"), ("rename", "start")])
async def test_a_container_that_is_renamed_as_it_starts_is_found_by_its_new_name(
    daemon: Daemon, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await daemon.engine.create(SPEC, "box")
    verbs = {"start": daemon.engine.start(made.id), "rename": daemon.engine.rename(made.id, "crate")}
    under_way: list[asyncio.Task[object]] = []
    lock = NotedLock()
    monkeypatch.setattr(daemon.engine.networks, "lock", lock)
    async with lock:  # another's addresses are chosen just now
        for verb in order:
            lock.asked.clear()
            under_way.append(asyncio.create_task(verbs[verb]))
            await asyncio.wait_for(lock.asked.wait(), 10)
    await asyncio.gather(*under_way)
    assert attached(daemon)[0].names == ("crate", made.id[:12])


async def test_an_address_is_reserved_however_its_user_wrote_it(daemon: Daemon) -> None:
    await daemon.engine.networks.create(NetworkSpec("mine", ipv6=True))
    network = await daemon.engine.networks.find("mine")
    second = network.subnets[1].gateway[:-1] + "2"  # what would be given first
    wanted = EndpointSpec("mine", ipv6=second.upper().replace("::", ":0::"))
    await daemon.engine.create(dataclasses.replace(SPEC, endpoints=(wanted,)), "fixed")
    await daemon.engine.create(dataclasses.replace(SPEC, endpoints=(EndpointSpec("mine"),)), "box")
    await daemon.engine.start("box")
    assert attached(daemon)[0].ipv6 == second[:-1] + "3"
    await daemon.engine.start("fixed")
    assert second in {one.ipv6 for one in attached(daemon)}


async def test_what_a_refused_network_left_on_the_host_is_taken_off(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = daemon.fakes.networks
    apply = room.apply

    async def half_done(desired: HostNetworks) -> None:
        await apply(desired)
        if desired.networks:
            raise Unavailable("dnsmasq: this is a fake")

    monkeypatch.setattr(room, "apply", half_done)
    with pytest.raises(Unavailable, match="dnsmasq: this is a fake"):
        await daemon.engine.networks.create(NetworkSpec("mine"))
    assert room.applied == HostNetworks()


async def test_the_last_network_goes_although_the_daemon_died_as_it_was_removed(doomed: Daemon) -> None:
    network, _ = await doomed.engine.networks.create(NetworkSpec("mine"))
    await doomed.fakes.state.networks.delete(network.id)
    assert doomed.fakes.networks.applied.networks == (network,)
    async with served(doomed.fakes, doomed.paths) as second:
        assert second.fakes.networks.applied == HostNetworks()


async def test_a_port_is_free_again_although_the_host_did_not_hear_of_its_end(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(SPEC, ports=(PortRequest(80, "tcp", "", 8080, 8080),))
    await daemon.engine.create(spec, "box")
    await daemon.engine.start("box")
    monkeypatch.setattr(daemon.fakes.networks, "apply", refusal)
    await daemon.engine.stop("box", timeout=None)
    monkeypatch.undo()
    await daemon.engine.start("box")
    assert [one.ports for one in attached(daemon)] == [(PortBinding(80, "tcp", "", 8080),)]


async def test_a_network_is_known_by_its_whole_name_at_a_start(daemon: Daemon) -> None:
    """A container of a network ``db`` that is gone is no part of another whose id begins with db."""
    other, _ = await daemon.engine.networks.create(NetworkSpec("other"))
    name = other.id[:2]
    await daemon.engine.networks.create(NetworkSpec(name))
    await daemon.engine.create(dataclasses.replace(SPEC, endpoints=(EndpointSpec(name),)), "box")
    await daemon.engine.networks.remove(name)
    with pytest.raises(NotFound, match=f"network {name} not found"):
        await daemon.engine.start("box")
    assert attached(daemon) == ()
    await daemon.engine.networks.disconnect(name, "box", force=False)
    assert (await daemon.engine.inspect("box")).spec.endpoints == ()
