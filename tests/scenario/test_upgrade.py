"""Today's daemon on what earlier ones left, and on records that it cannot read."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.config import Configuration
from linwin.daemon import opened
from linwin.engine.engine import Engine
from linwin.engine.live import LOST
from linwin.engine.recover import LOST_MESSAGE
from linwin.errors import Conflict, NotFound, Unavailable
from linwin.images import ImageStore
from linwin.model.container import ContainerSpec, LogQuery
from linwin.model.machine import MachineSpec
from linwin.model.network import NetworkSpec
from linwin.paths import Paths
from linwin.state import Database
from tests.scenario.earlier_roots import edited, unpack
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, Daemon, make_root, served
from tests.scenario.raw_http import RawConnection

ROOTS = ("2026-11-24",)
IMAGE_ID = "sha256:0b3d637a7a864e7e88859834335fef718c8beb18ee50beb8fc3344737478a997"


@pytest.fixture(params=ROOTS)
def earlier(request: pytest.FixtureRequest, short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("XDG_CACHE_HOME", str(short_folder / "cache"))
    return unpack(request.param, short_folder)


@pytest.fixture
def paths(short_folder: Path) -> Paths:
    return make_root(short_folder)


@asynccontextmanager
async def stored(fakes: Fakes, paths: Paths) -> AsyncIterator[Daemon]:
    """A served engine on the real state."""
    state = Database(paths)
    await state.open()
    async with served(replace(fakes, state=state), paths) as daemon:
        yield daemon
    await state.close()


async def logged(engine: Engine, reference: str) -> bytes:
    return b"".join([record.data async for record in await engine.logs(reference, LogQuery())])


async def test_a_root_of_an_earlier_linwin_is_served(earlier: Paths) -> None:
    """With all real rooms: nothing is lost, what ran is at rest, what cannot be used is told."""
    async with opened(earlier, Configuration()) as engine:
        found = {container.name: container for container in await engine.list()}
        assert {name: container.status for name, container in found.items()} == {
            "never-started": "created",
            "starting": "created",
            **dict.fromkeys(("exited", "running", "restored", "stopping", "paused"), "exited"),
        }
        assert (found["exited"].exit_code, found["exited"].spec.cmd) == (3, ("hang",))
        for name in ("running", "restored", "stopping", "paused"):
            assert (found[name].exit_code, found[name].pid, found[name].error) == (LOST, 0, LOST_MESSAGE)
            assert await logged(engine, name) == b"hello of start 1\n"
        assert await logged(engine, "exited") == b"hello of start 1\nnot \xff text\nhello of start 2\n"
        assert (await engine.image("example/app:1")).id == IMAGE_ID
        assert [kept.key for kept in await engine.rooms.machine.checkpoints()] == ["f" * 64]
        (template,) = await engine.unusable_templates()
        assert template.reason.endswith("cannot be used: it was written by another version of linwin")
        with pytest.raises(Unavailable) as caught:
            await engine.start("exited")
        assert (caught.value.message, caught.value.hint) == (template.reason, template.remedy)
        assert template.remedy == "build it again: linwin template build wine"
        assert (await engine.inspect("exited")).status == "exited"
    async with opened(earlier, Configuration()) as engine:
        assert {container.name for container in await engine.list()} == found.keys()


async def test_its_containers_start_once_the_template_is_built_again(earlier: Paths) -> None:
    state = Database(earlier)
    await state.open()
    fakes = Fakes(state=state)
    engine = Engine(replace(fakes.rooms, images=ImageStore(earlier)), earlier)
    await engine.open()
    for name in ("never-started", "exited", "running"):
        await engine.start(name)
        assert (await engine.inspect(name)).status == "running"
        await engine.remove(name, force=True)
    await engine.close()
    await state.close()


async def test_a_guest_is_adopted_whose_template_is_of_no_use_any_more(paths: Paths) -> None:
    """An upgrade may leave a template that has to be built again; what runs on it goes on running."""
    fakes = Fakes()
    state = Database(paths)
    await state.open()
    dying = Engine(replace(fakes, state=state).rooms, paths)
    await dying.open()
    created = await dying.create(ContainerSpec(IMAGE, cmd=("hang",)), "lives")
    await dying.start(created.id)
    for task in dying.watching():
        task.cancel()
    await asyncio.wait(dying.watching())
    await state.log(await dying.inspect("lives")).finish()
    await state.close()
    template = fakes.templates.installed.pop("wine")
    async with stored(fakes, paths) as daemon:
        assert (await daemon.engine.inspect("lives")).status == "running"
        await daemon.engine.stop("lives", timeout=None)
        with pytest.raises(NotFound, match="No such template: wine"):
            await daemon.engine.start("lives")
        fakes.templates.installed["wine"] = template
        await daemon.engine.start("lives")
        await daemon.engine.remove("lives", force=True)
        assert await daemon.nothing_left()


# Records that cannot be read


async def create(paths: Paths, *names: str) -> list[str]:
    """Create and start containers by the API; return their ids."""
    connection = await RawConnection.open(paths.socket)
    ids = []
    for name in names:
        body = {"Image": IMAGE, "Cmd": ["echo", name]}
        created = await connection.request("POST", f"/containers/create?name={name}", body)
        ids.append(created.json["Id"])
        assert (await connection.request("POST", f"/containers/{name}/start")).status == 204
    await connection.close()
    return ids


async def test_a_record_that_cannot_be_read_costs_no_other_container(paths: Paths) -> None:
    fakes = Fakes()
    async with stored(fakes, paths) as daemon:
        damaged, sound = await create(paths, "damaged", "sound")
        await daemon.settled()
        before = await daemon.engine.inspect("damaged")
    with edited(paths) as database:
        database.execute(
            "UPDATE containers SET record = replace(record, '\"argv\"', '\"later\"') WHERE id = ?", [damaged]
        )
    async with stored(fakes, paths) as daemon:
        connection = await RawConnection.open(paths.socket)
        listed = (await connection.request("GET", "/containers/json?all=1")).json
        assert {entry["Names"][0]: entry["State"] for entry in listed} == {
            "/damaged": "dead",
            "/sound": "exited",
        }
        shown = (await connection.request("GET", f"/containers/{damaged}/json")).json
        assert (shown["State"]["Status"], shown["State"]["Dead"], shown["Image"]) == (
            "dead",
            True,
            before.image_id,
        )
        reason = shown["State"]["Error"]
        assert reason == (
            "its record cannot be read: Container.__init__() got an unexpected keyword argument 'later'"
        )
        for verb in ("start", "rename?name=other"):
            refused = await connection.request("POST", f"/containers/damaged/{verb}")
            assert (refused.status, refused.json["message"].partition("\n")[0]) == (
                409,
                f'container "/damaged" is dead: {reason}',
            )
        logs = await connection.request("GET", "/containers/damaged/logs?stdout=1")
        assert logs.body.endswith(b"damaged\n")
        assert (await connection.request("POST", f"/containers/{sound}/start")).status == 204
        await daemon.settled()
        # What nobody can read nobody asked to be pruned.
        pruned = await connection.request("POST", "/containers/prune")
        assert pruned.json["ContainersDeleted"] == [sound]
        assert paths.overlay(damaged).exists()
        (finding,) = [
            f for f in await daemon.engine.check(lambda _: None, repair=True) if "damaged" in f.subject
        ]
        assert (finding.subject, finding.problem) == ("container damaged", f"is dead: {reason}")
        assert (await connection.request("DELETE", "/containers/damaged")).status == 204
        await connection.close()
        assert await daemon.nothing_left()


async def test_a_network_that_cannot_be_read_costs_no_container(paths: Paths) -> None:
    fakes = Fakes()
    async with stored(fakes, paths) as daemon:
        await daemon.engine.networks.create(NetworkSpec("mine"))
        (known,) = await create(paths, "known")
        await daemon.settled()
    with edited(paths) as database:
        assert database.execute("UPDATE networks SET record = '{}'").rowcount >= 1
    async with stored(fakes, paths) as daemon:
        (new,) = await create(paths, "new")
        await daemon.settled()
        assert {container.id for container in await daemon.engine.list()} == {known, new}
        await daemon.engine.networks.create(NetworkSpec("mine"))
        assert (await daemon.engine.networks.find("mine")).subnets


async def test_the_guest_of_a_container_that_cannot_be_read_ends_with_its_removal(paths: Paths) -> None:
    fakes = Fakes()
    async with stored(fakes, paths) as daemon:
        (damaged,) = await create(paths, "damaged")
        await daemon.settled()
    run_dir = paths.machine(damaged)
    run_dir.mkdir(parents=True, exist_ok=True)
    machine = await fakes.machines.boot(MachineSpec.of_running(damaged, run_dir), None)
    with edited(paths) as database:
        database.execute("UPDATE containers SET record = '[' WHERE id = ?", [damaged])
    async with stored(fakes, paths) as daemon:
        assert not machine.exited.done(), "a daemon that can read the record may adopt it"
        await daemon.engine.remove("damaged")
        assert machine.exited.done()
        assert await daemon.nothing_left()


async def test_chain_and_host_user_of_a_lost_record_are_asked_of_its_disk(paths: Paths) -> None:
    fakes = Fakes()
    async with stored(fakes, paths) as daemon:
        await create(paths, "damaged")
        await daemon.settled()
        before = await daemon.engine.inspect("damaged")
    with edited(paths) as database:
        database.execute("UPDATE containers SET record = CAST(x'ff' AS TEXT)")
    async with stored(fakes, paths) as daemon:
        (container,) = await daemon.engine.list()
        assert (container.chain_id, container.uid, container.name) == ("", 0, "damaged")
        await create(paths, "other")
        await daemon.settled()
        assert (await daemon.engine.inspect("other")).uid != before.uid or os.geteuid() != 0
        fakes.images.stored.clear()  # nothing but the container needs the chain now
        await daemon.engine.prune_containers(lambda _: False)
        assert before.chain_id in fakes.disks.chains
        await daemon.engine.remove("damaged")
        await daemon.engine.prune_containers(lambda _: False)
        assert not fakes.disks.chains


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "melted"}, "its status is 'melted'"),
        ({"uid": "0"}, "its uid is '0'"),
        ({"argv": [1]}, "its argv is (1,)"),
        ({"labels": {"a": 1}}, "its labels is {'a': 1}"),
        ({"health_check": {"test": [], "interval": True}}, "its interval is True"),
        ({"spec": None}, "it holds None where an object belongs"),
        ({"name": "other"}, "it is the record of another container"),
    ],
)
async def test_what_is_wrong_with_a_record_is_told(
    paths: Paths, change: dict[str, object], reason: str
) -> None:
    fakes = Fakes()
    async with stored(fakes, paths) as daemon:
        await create(paths, "damaged")
        await daemon.settled()
    with edited(paths) as database:
        ((record,),) = database.execute("SELECT record FROM containers").fetchall()
        database.execute("UPDATE containers SET record = ?", [json.dumps({**json.loads(record), **change})])
    async with stored(fakes, paths) as daemon:
        with pytest.raises(Conflict) as caught:
            await daemon.engine.start("damaged")
        assert caught.value.message == f'container "/damaged" is dead: its record cannot be read: {reason}'
        await daemon.engine.remove("damaged")
