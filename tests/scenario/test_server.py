"""The server as its daemon sees it: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from linwin.api import serve
from linwin.client import Client
from linwin.engine.engine import Engine
from linwin.errors import Conflict, Unavailable
from linwin.host.sockets import listen
from linwin.paths import Paths
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, make_root
from tests.scenario.raw_http import RawConnection


@pytest.fixture
def paths(short_folder: Path) -> Paths:
    deep = short_folder / ("very-" * 20) / ("long-" * 10)
    paths = Paths(short_folder / "root", deep / "linwin.sock")
    for folder in (paths.root, paths.containers, paths.scratch, paths.socket.parent):
        folder.mkdir(parents=True)
    return paths


async def test_a_path_too_long_for_an_address_and_a_stale_socket(paths: Paths) -> None:
    assert len(str(paths.socket)) > 107
    engine = Engine(Fakes().rooms, paths)
    await engine.open()
    for _ in range(2):
        with listen(paths.socket):
            pass  # closed, and not removed, as by a daemon that was killed
        async with serve(engine, paths.socket):
            await asyncio.to_thread(Client(f"unix://{paths.socket}").ping)
        assert not paths.socket.exists()


async def test_what_another_program_has_at_the_path_is_left_alone(short_folder: Path) -> None:
    paths = make_root(short_folder)
    engine = Engine(Fakes().rooms, paths)
    paths.socket.write_text("a file of somebody's")
    with pytest.raises(Unavailable, match="something that is no socket has this name"):
        await serve(engine, paths.socket).__aenter__()
    assert paths.socket.read_text() == "a file of somebody's"
    paths.socket.unlink()
    async with serve(engine, paths.socket):
        with pytest.raises(Conflict, match="another program already listens on"):
            await serve(engine, paths.socket).__aenter__()
        await asyncio.to_thread(Client(f"unix://{paths.socket}").ping)
        paths.socket.unlink()
        with listen(paths.socket) as successor:
            assert successor.getsockname() == str(paths.socket)
    assert paths.socket.is_socket(), "it is not ours any more"


async def test_an_end_completes_changes_and_cuts_streams(short_folder: Path) -> None:
    paths = make_root(short_folder)
    fakes = Fakes()
    engine = Engine(fakes.rooms, paths)
    await engine.open()
    async with serve(engine, paths.socket):
        connection = await RawConnection.open(paths.socket)
        created = await connection.request("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["hang"]})
        container = created.json["Id"]
        waiting = await RawConnection.open(paths.socket)
        waiting.send("POST", f"/containers/{container}/wait?condition=next-exit")
        await waiting.head()
        connection.send("POST", f"/containers/{container}/start")
        await fakes.machines.booting.wait()
    assert (await engine.inspect(container)).status == "running"
    assert await waiting.reader.read() == b""
    await waiting.close()
    await connection.close()
    await engine.remove(container, force=True)
    await engine.close()
