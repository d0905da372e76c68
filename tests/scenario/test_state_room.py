"""The real state room under the real engine: what a daemon leaves for the next one."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linwin.model.container import ContainerSpec
from linwin.paths import Paths
from linwin.state import Database
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import IMAGE, killed_at_the_end, make_root, served
from tests.scenario.raw_http import RawConnection


@pytest.fixture
def paths(short_folder: Path) -> Paths:
    return make_root(short_folder)


@asynccontextmanager
async def database(fakes: Fakes, paths: Paths) -> AsyncIterator[Fakes]:
    """The fakes with a freshly opened database in place of the fake state."""
    state = Database(paths)
    await state.open()
    yield dataclasses.replace(fakes, state=state)
    await state.close()


async def test_containers_and_logs_survive_a_restart(paths: Paths) -> None:
    fakes = Fakes()
    async with database(fakes, paths) as stored, served(stored, paths) as daemon:
        connection = await RawConnection.open(paths.socket)
        body = {"Image": IMAGE, "Cmd": ["complain"], "Labels": {"a": "b"}}
        created = await connection.request("POST", "/containers/create?name=kept", body)
        assert created.status == 201
        await connection.request("POST", "/containers/kept/start")
        await daemon.settled()
        before = await connection.request("GET", "/containers/kept/json")
        await connection.close()
    async with database(fakes, paths) as stored, served(stored, paths):
        connection = await RawConnection.open(paths.socket)
        after = await connection.request("GET", "/containers/kept/json")
        assert after.json == before.json
        logs = await connection.request("GET", "/containers/kept/logs?stdout=1&stderr=1")
        assert logs.body == b"\x01\0\0\0\0\0\0\x0ato stdout\n\x02\0\0\0\0\0\0\x0ato stderr\n"
        assert (await connection.request("DELETE", "/containers/kept")).status == 204
        await connection.close()


async def test_a_new_daemon_goes_on_with_a_running_container(paths: Paths) -> None:
    fakes = Fakes()
    async with database(fakes, paths) as stored, killed_at_the_end(stored, paths):
        connection = await RawConnection.open(paths.socket)
        body = {"Image": IMAGE, "Cmd": ["hang"]}
        assert (await connection.request("POST", "/containers/create?name=lives", body)).status == 201
        await connection.request("POST", "/containers/lives/start")
        await connection.close()
    async with database(fakes, paths) as stored, served(stored, paths) as daemon:
        connection = await RawConnection.open(paths.socket)
        state = (await connection.request("GET", "/containers/lives/json")).json["State"]
        assert state["Status"] == "running"
        created = await connection.request("POST", "/containers/lives/exec", {"Cmd": ["exit", "3"]})
        path = f"/exec/{created.json['Id']}"
        assert (await connection.request("POST", f"{path}/start", {"Detach": True})).status == 200
        await daemon.fakes.guests.last.wait()
        assert (await connection.request("POST", "/containers/lives/stop")).status == 204
        logs = await connection.request("GET", "/containers/lives/logs?stdout=1")
        assert logs.body.endswith(b"got TERM\n")
        assert (await connection.request("DELETE", "/containers/lives")).status == 204
        await connection.close()
        assert await daemon.nothing_left()


async def test_a_new_daemon_finds_a_paused_container_paused(paths: Paths) -> None:
    fakes = Fakes()
    async with database(fakes, paths) as stored:
        async with killed_at_the_end(stored, paths) as dying:
            created = await dying.engine.create(ContainerSpec(IMAGE, cmd=("hang",)), "frozen")
            await dying.engine.start(created.id)
            await dying.engine.pause("frozen")
        await stored.state.log(await dying.engine.inspect(created.id)).finish()
    async with database(fakes, paths) as stored, served(stored, paths) as daemon:
        (machine,) = fakes.machines.running.values()
        assert (await daemon.engine.inspect("frozen")).status == "paused"
        assert machine.paused
        await daemon.engine.rename("frozen", "thawed")
        await daemon.engine.unpause("thawed")
        assert not machine.paused
        await daemon.engine.remove("thawed", force=True)
        assert await daemon.nothing_left()


async def test_large_output_is_logged_byte_exact(paths: Paths) -> None:
    fakes = Fakes()
    async with database(fakes, paths) as stored, served(stored, paths) as daemon:
        client = daemon.client

        def run() -> bytes:
            created = client.post("/containers/create", body={"Image": IMAGE, "Cmd": ["flood", "3000000"]})
            client.post(f"/containers/{created['Id']}/start")
            return b"".join(data for _, data in client.logs(created["Id"], follow=True))

        assert await asyncio.to_thread(run) == flood_bytes(3_000_000)
        (container,) = await daemon.engine.list()
        await daemon.engine.remove(container.id, force=True)
