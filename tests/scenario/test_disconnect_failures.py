"""What fails half-way through a disconnect, or at an end: nothing is taken back that cannot be."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from linwin.engine.engine import Engine
from linwin.errors import LinwinError, Unavailable
from linwin.model.container import Container, ContainerSpec, RestartPolicy
from linwin.model.network import EndpointSpec, NetworkSpec
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, Daemon, killed_at_the_end, make_root, served
from tests.scenario.networking import attached
from tests.scenario.test_small_verbs import guest_of

SPEC = ContainerSpec(IMAGE, cmd=("hang",))


async def refuse(*_: object, **__: object) -> None:
    raise Unavailable("the guest does not answer")


async def in_two_networks(daemon: Daemon) -> Container:
    """A container that runs, and reaches the world by the default network."""
    await daemon.engine.networks.create(NetworkSpec("mine"))
    await daemon.engine.create(SPEC, "box")
    await daemon.engine.start("box")
    await daemon.engine.networks.connect("mine", "box", EndpointSpec("mine"))
    return await daemon.engine.inspect("box")


def names(container: Container) -> list[str]:
    return [one.network for one in container.spec.endpoints or ()]


@pytest.mark.parametrize("force", [False, True])
async def test_a_guest_that_is_not_told_of_its_new_way_out(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    before = await in_two_networks(daemon)
    _, guest = guest_of(daemon)
    monkeypatch.setattr(guest, "connect_interface", refuse)
    await daemon.engine.networks.disconnect("nat", "box", force=force)
    after = await daemon.engine.inspect("box")
    assert (names(after), after.attachments) == (["mine"], before.attachments[1:])
    assert attached(daemon) == after.attachments


async def test_a_nic_that_is_forgotten_and_not_unplugged_is_left(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await in_two_networks(daemon)
    machine, guest = guest_of(daemon)
    monkeypatch.setattr(machine, "unplug_nic", refuse)
    await daemon.engine.networks.disconnect("mine", "box", force=False)
    after = await daemon.engine.inspect("box")
    assert (names(after), after.attachments) == (["nat"], before.attachments[:1])
    assert attached(daemon) == after.attachments
    assert list(guest.interfaces) == [before.attachments[0].mac]


async def test_a_nic_that_is_not_forgotten_is_kept(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await in_two_networks(daemon)
    machine, guest = guest_of(daemon)
    monkeypatch.setattr(guest, "forget_interface", refuse)
    with pytest.raises(Unavailable, match="the guest does not answer"):
        await daemon.engine.networks.disconnect("mine", "box", force=False)
    assert await daemon.engine.inspect("box") == before
    assert (len(machine.nics), attached(daemon)) == (2, before.attachments)


# A new daemon that mends what the last one left


@pytest.fixture
async def left_half_way(short_folder: Path) -> Daemon:
    """What a daemon leaves that dies in a disconnect from the default network."""
    fakes = Fakes()
    async with killed_at_the_end(fakes, make_root(short_folder)) as daemon:
        container = await in_two_networks(daemon)
        spec = dataclasses.replace(container.spec, endpoints=(EndpointSpec("mine"),))
        await fakes.state.amend(container.id, spec=spec)
    return daemon


async def ends_recorded(second: Daemon) -> None:
    """Its run is watched: it may be stopped, and its end is seen."""
    assert (await second.engine.inspect("box")).status == "running"
    await second.engine.stop("box", timeout=None)
    container = await second.engine.inspect("box")
    assert (container.status, container.attachments, attached(second)) == ("exited", (), ())
    assert not second.fakes.machines.running


async def test_what_is_mended_is_watched_although_its_guest_does_not_answer(
    left_half_way: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, guest = guest_of(left_half_way)
    monkeypatch.setattr(machine, "unplug_nic", refuse)
    for name in ("connect_interface", "forget_interface"):
        monkeypatch.setattr(guest, name, refuse)
    async with served(left_half_way.fakes, left_half_way.paths) as second:
        (left,) = attached(second)
        assert (await second.engine.inspect("box")).attachments == (left,)
        await ends_recorded(second)


@pytest.mark.parametrize("failure", [Unavailable("no space is left"), RuntimeError("a defect")])
async def test_what_cannot_be_mended_is_watched(
    left_half_way: Daemon, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(left_half_way.fakes.state, "amend", fail)
    async with served(left_half_way.fakes, left_half_way.paths) as second:
        assert len(attached(second)) == 2
        await ends_recorded(second)


# Ends and starts that fail


async def test_a_defect_in_the_release_of_networks_does_not_lose_the_restart(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await daemon.engine.create(dataclasses.replace(SPEC, restart=RestartPolicy("always")), "box")
    await daemon.engine.start("box")

    async def defect() -> None:
        monkeypatch.undo()
        raise RuntimeError("a defect")

    monkeypatch.setattr(daemon.engine.networks, "apply_later", defect)
    follower = daemon.engine.events.follow(since=None, until=None)
    await daemon.fakes.guests.last.end()
    async with asyncio.timeout(20):
        async for event in follower:
            if event.action == "start":
                break
    follower.close()
    assert (await daemon.engine.inspect("box")).restart_count == 1


def told(engine: Engine) -> list[str]:
    follower = engine.events.follow(since=0, until=1)
    follower.close()
    return [event.action for event in follower._waiting if event.kind == "network"]


@pytest.mark.parametrize("broken", ["machine", "host", "tap", "network", ""])
async def test_every_disconnect_that_is_told_was_a_connect(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    networks = ("nowhere",) if broken == "network" else ("nat",)
    endpoints = tuple(EndpointSpec(name) for name in networks)
    await daemon.engine.create(dataclasses.replace(SPEC, endpoints=endpoints), "box")
    if broken == "machine":
        daemon.fakes.machines.broken = "no machine today"
    elif broken == "host":
        monkeypatch.setattr(daemon.fakes.networks, "apply", refuse)
    elif broken == "tap":
        monkeypatch.setattr(daemon.fakes.networks, "name_tap", refuse)
    try:
        await daemon.engine.start("box")
    except LinwinError:
        assert broken
    else:
        assert not broken
        await daemon.engine.stop("box", timeout=None)
    actions = told(daemon.engine)
    assert actions == ([] if broken == "network" else ["connect", "disconnect"])
