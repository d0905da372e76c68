"""What may happen to an image, a chain or a container while something else happens to it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from linwin.errors import InvalidRequest, NotFound, Unavailable
from linwin.model.container import ContainerSpec
from linwin.model.image import Image
from linwin.model.registry import Pulled
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.images import image_of
from tests.scenario.fakes.registry import Content
from tests.scenario.fakes.state import FakeState
from tests.scenario.harness import IMAGE, Daemon
from tests.scenario.test_lifecycle import create, in_time

__all__ = ["in_time"]

APP = "docker.io/team/app:1"
T = TypeVar("T")


@pytest.fixture(autouse=True)
def registry(daemon: Daemon) -> None:
    daemon.fakes.images.registry.content[APP] = Content()


async def pull(daemon: Daemon) -> Pulled:
    return await daemon.engine.pull("team/app:1", daemon.engine.unreported)


async def prune(daemon: Daemon) -> int:
    """Prune whatever nobody needs; returns bytes freed."""
    return (await daemon.engine.prune_images(dangling_only=False, keep=lambda _: False)).freed


async def cancelled(task: asyncio.Task[object]) -> bool:
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    return isinstance(outcome, asyncio.CancelledError)


# Pulls


async def test_a_prune_waits_for_a_pull_that_builds_its_chain(daemon: Daemon) -> None:
    daemon.fakes.disks.gate = gate = Gate()
    pulling = asyncio.create_task(pull(daemon))
    await gate.reached.wait()
    pruning = asyncio.create_task(prune(daemon))
    await asyncio.sleep(0)
    gate.opened.set()
    pulled, _ = await asyncio.gather(pulling, pruning)
    chain_ends = {chain for chain, parent in daemon.fakes.disks.chains.items() if parent}
    assert len(chain_ends) == 1, "the chain of a pulled image was pruned"
    assert (await daemon.engine.image("team/app:1")).id == pulled.image.id


async def test_a_cancelled_pull_leaves_nothing(daemon: Daemon) -> None:
    for room in (daemon.fakes.images.registry, daemon.fakes.disks):
        room.gate = gate = Gate()
        pulling = asyncio.create_task(pull(daemon))
        await gate.reached.wait()
        assert await cancelled(pulling)
        room.gate = None
        with pytest.raises(NotFound, match="No such image: team/app:1"):
            await daemon.engine.image("team/app:1")
    assert daemon.fakes.images.discarded == 1, "what was staged was not let go"
    await prune(daemon)
    assert not any(daemon.fakes.disks.chains.values())
    assert (await pull(daemon)).newer


async def test_a_pull_whose_layer_is_bad_is_let_go(daemon: Daemon) -> None:
    (layer,) = image_of(APP, (), (3000,)).layers
    daemon.fakes.disks.broken = {layer.diff_id}
    with pytest.raises(InvalidRequest, match="cannot be applied: its first entry is a lie"):
        await pull(daemon)
    assert daemon.fakes.images.discarded == 1
    with pytest.raises(NotFound):
        await daemon.engine.image("team/app:1")


async def test_two_pulls_of_one_image(daemon: Daemon) -> None:
    first, second = await asyncio.gather(pull(daemon), pull(daemon))
    assert first.image.id == second.image.id
    assert not (await pull(daemon)).newer


async def test_a_pull_moves_the_name_and_leaves_the_old_image(daemon: Daemon) -> None:
    old = (await pull(daemon)).image
    daemon.fakes.images.registry.content[APP] = Content(cmd=("echo", "newer"))
    new = await pull(daemon)
    assert new.newer
    assert (await daemon.engine.image(old.id)).references == ()
    pruned = await daemon.engine.prune_images(dangling_only=True, keep=lambda _: False)
    assert [item.deleted for item in pruned.removed if item.deleted] == [old.id]
    assert (await daemon.engine.image("team/app:1")).id == new.image.id


# Prunes


async def test_an_image_is_not_pruned_under_a_container_that_is_being_created(daemon: Daemon) -> None:
    await pull(daemon)
    spec = ContainerSpec(image="team/app:1")
    creating = asyncio.create_task(daemon.engine.create(spec, "pet"))
    pruning = asyncio.create_task(prune(daemon))
    await asyncio.gather(creating, pruning)
    assert await daemon.engine.start("pet")
    await daemon.settled()


@pytest.fixture
def looked(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Holds a prune that has chosen what to delete, and has not deleted it."""
    gate, go_on = Gate(), daemon.fakes.images.remove

    async def remove(*arguments: Any, **options: Any) -> object:
        await gate.passed()
        return await go_on(*arguments, **options)

    monkeypatch.setattr(daemon.fakes.images, "remove", remove)
    return gate


async def prune_and(daemon: Daemon, looked: Gate, change: Callable[[Image], Awaitable[T]]) -> T | Exception:
    """What came of a change to a dangling image that a prune has chosen."""
    image = dataclasses.replace(image_of(APP, ("echo", "pulled"), (3000,)), references=())
    daemon.fakes.images.store(image)
    pruning = asyncio.create_task(daemon.engine.prune_images(dangling_only=True, keep=lambda _: False))
    await looked.reached.wait()
    changing = asyncio.ensure_future(change(image))
    for _ in range(10):
        await asyncio.sleep(0)
    looked.opened.set()
    assert (await pruning).removed
    (outcome,) = await asyncio.gather(changing, return_exceptions=True)
    assert not isinstance(outcome, BaseException) or isinstance(outcome, NotFound)
    return outcome


async def test_a_name_for_what_is_being_pruned_is_refused(daemon: Daemon, looked: Gate) -> None:
    """And not given to what is deleted the next moment."""
    outcome = await prune_and(daemon, looked, lambda image: daemon.engine.tag(image.id, "mine:1"))
    assert isinstance(outcome, NotFound)


async def test_what_is_pulled_while_it_is_pruned_is_there(daemon: Daemon, looked: Gate) -> None:
    pulled = await prune_and(daemon, looked, lambda _: pull(daemon))
    assert isinstance(pulled, Pulled)
    assert (await daemon.engine.image("team/app:1")).id == pulled.image.id


async def test_a_prune_waits_for_a_start_that_has_no_disk_yet(daemon: Daemon) -> None:
    await pull(daemon)
    await daemon.engine.create(ContainerSpec(image="team/app:1"), "pet")
    daemon.fakes.disks.gate = gate = Gate()
    starting = asyncio.create_task(daemon.engine.start("pet"))
    await gate.reached.wait()
    pruning = asyncio.create_task(prune(daemon))
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.gather(starting, pruning)
    await daemon.settled()
    assert await daemon.engine.check(daemon.engine.unreported, repair=False) == []


async def test_a_prune_waits_for_a_disk_that_is_flattened(daemon: Daemon, tmp_path: Path) -> None:
    daemon.fakes.disks.flattening = gate = Gate()
    target = tmp_path / "disk.qcow2"
    image = (await pull(daemon)).image
    flattening = asyncio.create_task(daemon.engine.disk(image.id, target, daemon.engine.unreported))
    await gate.reached.wait()
    pruning = asyncio.create_task(prune(daemon))
    await asyncio.sleep(0)
    gate.opened.set()
    await flattening
    assert target.exists()
    assert await pruning == 3000 + 10_000


async def test_a_container_that_is_started_meanwhile_is_not_pruned(daemon: Daemon) -> None:
    await create(daemon, "hang")
    daemon.fakes.machines.gate = gate = Gate()
    starting = asyncio.create_task(daemon.engine.start("pet"))
    pruning = asyncio.create_task(daemon.engine.prune_containers(lambda _: False))
    await gate.reached.wait()
    gate.opened.set()
    _, pruned = await asyncio.gather(starting, pruning)
    assert pruned.containers == ()
    assert (await daemon.engine.inspect("pet")).status == "running"


async def test_a_container_that_is_removed_meanwhile_is_not_counted(daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    removing = asyncio.create_task(daemon.engine.remove("pet"))
    pruned = await daemon.engine.prune_containers(lambda _: False)
    await removing
    assert pruned.containers in ((), (container,))
    assert not await daemon.engine.list()
    assert not daemon.engine._live


async def test_prunes_at_once(daemon: Daemon) -> None:
    daemon.fakes.images.store(image_of("docker.io/a/b:1", (), (500,)))
    assert sorted(await asyncio.gather(*(prune(daemon) for _ in range(3)))) == [0, 0, 500]


async def test_an_image_that_cannot_be_removed_ends_the_prune_with_its_reason(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise Unavailable("the store cannot be written: Read-only file system")

    await pull(daemon)
    monkeypatch.setattr(daemon.fakes.images, "remove", fail)
    with pytest.raises(Unavailable, match="Read-only file system"):
        await prune(daemon)
    assert not daemon.engine.creating.locked()


# Checks


async def test_a_repair_keeps_builders_waiting_and_a_check_does_not(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who would prune waits for both."""
    chains = daemon.engine.chains
    went_on: list[list[bool]] = []
    tasks: list[asyncio.Task[None]] = []

    async def enter(way: AbstractAsyncContextManager[None]) -> None:
        async with way:
            return

    async def check(*arguments: object, repair: bool) -> list[object]:
        others = [asyncio.create_task(enter(way)) for way in (chains.using(), chains.pruning())]
        for _ in range(5):
            await asyncio.sleep(0)
        went_on.append([task.done() for task in others])
        tasks.extend(others)
        return []

    monkeypatch.setattr(daemon.fakes.disks, "check", check)
    for repair in (True, False):
        assert await daemon.engine.check(daemon.engine.unreported, repair=repair) == []
    await asyncio.gather(*tasks)
    assert went_on == [[False, False], [True, False]]


async def test_a_container_that_goes_away_is_no_finding(daemon: Daemon) -> None:
    container = await create(daemon, "echo")
    await daemon.engine.start("pet")
    await daemon.settled()
    state = daemon.fakes.state
    assert isinstance(state, FakeState)
    state.gates["removing"] = gate = Gate()
    removing = asyncio.create_task(daemon.engine.remove("pet"))
    await gate.reached.wait()
    daemon.paths.overlay(container).unlink()
    found = await daemon.engine.check(daemon.engine.unreported, repair=True)
    gate.opened.set()
    await removing
    assert found == []


async def test_what_users_named_after_a_base_image_stays(daemon: Daemon) -> None:
    await daemon.engine.tag(IMAGE, "mine:1")
    await prune(daemon)
    base: Image = await daemon.engine.image("mine:1")
    assert base.template == "wine"
