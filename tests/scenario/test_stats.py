"""top and stats, through docker's clients and ours, and against guests that lie."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from linwin.engine import stats
from linwin.errors import Unavailable
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes.guest import USAGE
from tests.scenario.harness import Daemon, Docker
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.test_logs import client

__all__ = ["client"]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "INTERVAL", 0.05)


async def running(daemon: Daemon, name: str = "box") -> str:
    container = await create(daemon, "hang")
    await daemon.engine.rename(container, name)
    await start(daemon, container)
    return container


async def unwatched(daemon: Daemon, container: str) -> None:
    """Return when nobody asks this container's guest any more."""
    if task := daemon.engine.live(container).sampler._task:
        await asyncio.wait_for(asyncio.wait([task]), 10)


async def test_top_lists_processes_as_docker_does_on_windows(client: Docker, daemon: Daemon) -> None:
    await running(daemon)
    shown = await client("top", "box")
    assert shown.code == 0
    head, *rows = [line.split() for line in shown.out.decode().splitlines()]
    assert head == ["Name", "PID", "CPU", "Private", "Working", "Set"]
    assert rows == [["hang.exe", "40", "01:00:01.234", "1.364MB"]]
    refused = await client("top", "box", "aux")
    assert (refused.code, refused.out) == (1, b"")
    assert b"Windows does not support arguments to top" in refused.err


async def test_top_needs_a_container_that_runs(client: Docker, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    refused = await client("top", container)
    assert f"container {container} is not running".encode() in refused.err
    await start(daemon, container)
    await daemon.engine.pause(container)
    refused = await client("top", container)
    assert f"container {container} is paused, unpause the container before top".encode() in refused.err
    assert b"No such container: nobody" in (await client("top", "nobody")).err


async def test_stats_once(client: Docker, daemon: Daemon) -> None:
    container = await running(daemon)
    shown = await client("stats", "--no-stream", "box")
    head, row = shown.out.decode().splitlines()
    assert " ".join(head.split()) == "CONTAINER ID NAME CPU % PRIV WORKING SET NET I/O BLOCK I/O"
    cells = row.split()
    assert cells[:2] == [container[:12], "box"]
    assert float(cells[2].removesuffix("%")) > 100, "half a second in a twentieth, of two processors"
    assert cells[3:] == ["4MiB", "5kB", "/", "6kB", "2kB", "/", "4kB"]
    form = await client("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}} {{.MemPerc}} {{.PIDs}}")
    assert form.out == f"{container} -- --\n".encode()
    as_json = json.loads((await client("stats", "--no-stream", "--format", "{{json .}}", "box")).out)
    assert (as_json["Name"], as_json["MemUsage"], as_json["NetIO"]) == ("box", "4MiB", "5kB / 6kB")
    await unwatched(daemon, container)


async def test_stats_of_what_does_not_run_are_zeros(client: Docker, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    assert (await client("stats", "--no-stream", "--format", "{{.ID}}")).out == b""
    form = "{{.ID}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}}"
    shown = await client("stats", "--all", "--no-stream", "--format", form)
    assert shown.out == f"{container[:12]} 0.00% 0B 0B / 0B\n".encode()
    refused = await client("stats", "--no-stream", "nobody")
    assert refused.code == 1
    assert b"No such container: nobody" in refused.err


async def test_stats_stream_and_follow_starts(client: Docker, daemon: Daemon) -> None:
    container = await running(daemon)
    async with client.started("stats", "--format", "{{.Name}} {{.MemUsage}}") as watching:
        assert watching.stdout
        await seen(watching.stdout, b"box 4MiB")
        if client.program.endswith("linwin"):  # docker's asks for events, which are none yet
            await running(daemon, "later")
            await seen(watching.stdout, b"later 4MiB")
    await unwatched(daemon, container)


async def seen(output: asyncio.StreamReader, text: bytes) -> None:
    while text not in await output.readline():
        assert not output.at_eof()


async def lines(daemon: Daemon, container: str, count: int, query: str = "") -> list[Any]:
    """The first samples of a stream, which is then broken off."""
    connection = await RawConnection.open(daemon.paths.socket)
    connection.send("GET", f"/containers/{container}/stats?{query}")
    assert (await connection.head()).status == 200
    found: list[Any] = []
    while len(found) < count:
        line = await connection.reader.readline()
        assert line, "the stream ended"
        if line.startswith(b"{"):
            found.append(json.loads(line))
    await connection.close()
    return found


async def test_a_stream_carries_what_came_before(daemon: Daemon) -> None:
    container = await running(daemon)
    first, second, third = await lines(daemon, container, 3)
    assert first["preread"] == "0001-01-01T00:00:00Z"
    for earlier, later in ((first, second), (second, third)):
        assert later["preread"] == earlier["read"]
        assert later["precpu_stats"] == earlier["cpu_stats"]
    await unwatched(daemon, container)


async def test_watchers_share_one_sampler(daemon: Daemon) -> None:
    container = await running(daemon)
    guest = daemon.fakes.guests.last_guest
    streams = await asyncio.gather(*(lines(daemon, container, 4) for _ in range(5)))
    await unwatched(daemon, container)
    times = {sample["read"] for stream in streams for sample in stream}
    assert len(times) <= 8, "twenty samples were asked for by five watchers"
    guest.asked.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(guest.asked.wait(), 0.3)  # nobody watches, so nobody asks


async def test_one_shot_is_one_sample(daemon: Daemon) -> None:
    container = await running(daemon)
    connection = await RawConnection.open(daemon.paths.socket)
    path = f"/containers/{container}/stats"
    once = (await connection.request("GET", f"{path}?stream=0&one-shot=1")).json
    assert once["preread"] == "0001-01-01T00:00:00Z"
    assert once["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert once["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    refused = await connection.request("GET", f"{path}?one-shot=1")
    assert refused.status == 400
    assert refused.json["message"].startswith("cannot have stream=true and one-shot=true")
    await connection.close()


async def test_a_paused_containers_counters_stand_still(daemon: Daemon) -> None:
    container = await running(daemon)
    await lines(daemon, container, 1)
    await daemon.engine.pause(container)
    daemon.fakes.guests.last_guest.usage = Unavailable("a halted guest answers nothing")
    first, second = await lines(daemon, container, 2)
    assert first["cpu_stats"]["cpu_usage"] == second["cpu_stats"]["cpu_usage"]
    assert first["cpu_stats"]["cpu_usage"]["total_usage"] > 0


async def test_a_stream_goes_on_with_zeros_and_ends_with_the_container(daemon: Daemon) -> None:
    container = await running(daemon)
    connection = await RawConnection.open(daemon.paths.socket)
    connection.send("GET", f"/containers/{container}/stats")
    await connection.head()
    await seen(connection.reader, b'"num_procs": 2')
    await daemon.engine.kill(container, "KILL")
    await seen(connection.reader, b'"num_procs": 0')
    await daemon.engine.remove(container)
    assert (await connection.reader.readuntil(b"\r\n0\r\n\r\n")).endswith(b"0\r\n\r\n")
    await connection.close()


async def test_a_guest_that_tells_nonsense_fails_that_request_only(daemon: Daemon) -> None:
    container = await running(daemon)
    guest = daemon.fakes.guests.last_guest
    usage, guest.usage = guest.usage, Unavailable("the guest's agent told nonsense of its stats: x", hint="y")
    connection = await RawConnection.open(daemon.paths.socket)
    for path in ("stats?stream=0", "top"):
        refused = await connection.request("GET", f"/containers/{container}/{path}")
        assert refused.status == 503
        assert refused.json["message"] == "the guest's agent told nonsense of its stats: x\ny"
    (empty,) = await lines(daemon, container, 1)
    assert empty["cpu_stats"]["cpu_usage"]["total_usage"] == 0
    guest.usage = usage
    assert (await connection.request("GET", f"/containers/{container}/stats?stream=0")).status == 200
    await connection.close()
    assert (await daemon.engine.inspect(container)).status == "running"


async def test_time_that_runs_backwards_is_no_sample(daemon: Daemon) -> None:
    container = await running(daemon)
    async with await daemon.engine.stats(container) as watch:
        assert await watch.next()
        daemon.fakes.guests.last_guest.usage = dataclasses.replace(USAGE, cpu=-(10**9))
        with pytest.raises(Unavailable, match="the guest's CPU time ran backwards"):
            await watch.next()


async def test_docker_py(python: Any, daemon: Daemon, tmp_path: Path) -> None:
    await running(daemon)
    container = await off_loop(lambda: python.containers.get("box"))
    shown = await off_loop(container.top)
    assert shown["Titles"] == ["Name", "PID", "CPU", "Private Working Set"]
    once = await off_loop(lambda: container.stats(stream=False))
    assert once["memory_stats"]["privateworkingset"] == 4 << 20

    def two() -> list[Any]:
        stream = container.stats(decode=True)
        found = [next(stream), next(stream)]
        stream.close()
        return found

    first, second = await off_loop(two)
    assert second["precpu_stats"] == first["cpu_stats"]
