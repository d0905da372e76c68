"""The server as its daemon sees it: where it listens, and how it ends."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from linwin.api import check_unused, serve
from linwin.client import Client
from linwin.engine.engine import Engine
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
    environment = {**os.environ, "LINWIN_ROOT": str(paths.root), "LINWIN_HOST": f"unix://{paths.socket}"}

    async def refusal() -> bytes:
        words = (sys.executable, "-m", "linwin.daemon")
        process = await asyncio.create_subprocess_exec(*words, env=environment, stderr=PIPE)
        _, told = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 1
        return told

    paths.socket.write_text("a file of somebody's")
    assert b"something that is no socket has this name" in await refusal()
    assert paths.socket.read_text() == "a file of somebody's"
    paths.socket.unlink()
    async with serve(Engine(Fakes().rooms, paths), paths.socket):
        assert b"another program already listens on" in await refusal()
        await asyncio.to_thread(Client(f"unix://{paths.socket}").ping)
        with listen(paths.socket) as successor:
            assert successor.getsockname() == str(paths.socket)
    assert paths.socket.is_socket(), "it is not ours any more"
    check_unused(paths.socket)  # closed: it was left behind


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
