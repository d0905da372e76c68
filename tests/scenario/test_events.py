"""Events, as docker's own clients and ours follow them."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import docker as docker_py
import pytest

from linwin.engine.events import BACKLOG, KEPT, Events, Follower
from linwin.errors import Unavailable
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.raw_http import RawConnection

FORM = "{{.Type}} {{.Action}}"


def now() -> str:
    """A Unix time: of a duration docker's client makes whole seconds."""
    return f"{time.time_ns() / 1e9:.9f}"


async def past(docker: Docker, *options: str, form: str = FORM) -> list[str]:
    """What has happened until now."""
    shown = await docker("events", "--since", "0", "--until", now(), "--format", form, *options)
    assert shown.code == 0, shown.err
    return shown.out.decode().splitlines()


async def test_a_run_and_its_end(docker: Docker, daemon: Daemon) -> None:
    assert (await docker("run", "--name", "box", IMAGE, "echo", "hello")).code == 0
    assert (await docker("rm", "box")).code == 0
    happened = await past(docker)
    container = [line.removeprefix("container ") for line in happened if line.startswith("container ")]
    assert container == ["create", "attach", "start", "die", "destroy"]
    network = [(index, line) for index, line in enumerate(happened) if line.startswith("network ")]
    assert network == [(2, "network connect"), (5, "network disconnect")]


async def test_a_stop_tells_how(docker: Docker) -> None:
    await docker("run", "-d", "--name", "box", "--label", "team=blue", IMAGE, "hang")
    await docker("stop", "box")
    form = '{{.Action}} {{index .Actor.Attributes "signal"}}{{index .Actor.Attributes "exitCode"}}'
    happened = await past(docker, "--filter", "container=box", "--filter", "label=team=blue", form=form)
    assert [line.split()[0] for line in happened] == ["create", "start", "kill", "die", "stop"]
    assert happened[2] == "kill 15"
    assert happened[3].startswith("die ")


async def test_a_stubborn_one_is_killed(docker: Docker) -> None:
    await docker("run", "-d", "--name", "s1", IMAGE, "stubborn")
    await docker("stop", "-t", "0", "s1")
    form = '{{.Action}} {{index .Actor.Attributes "signal"}}'
    killed = await past(docker, "--filter", "event=kill", form=form)
    assert killed == ["kill 15", "kill 9"]


async def test_small_verbs(docker: Docker) -> None:
    await docker("run", "-d", "--name", "box", IMAGE, "hang")
    for words in (("pause",), ("unpause",), ("restart",), ("kill",)):
        assert (await docker(*words, "box")).code == 0
    await docker("rename", "box", "crate")
    actions = [line.split()[1] for line in await past(docker, "--filter", "type=container")]
    # fmt: off
    assert actions == [
        "create", "start", "pause", "unpause", "kill", "die", "stop", "start", "restart",
        "kill", "die", "rename",
    ]
    # fmt: on
    form = '{{index .Actor.Attributes "oldName"}} {{index .Actor.Attributes "name"}}'
    assert await past(docker, "--filter", "event=rename", form=form) == ["/box crate"]


async def test_execs(docker: Docker) -> None:
    await docker("run", "-d", "--name", "box", IMAGE, "hang")
    assert (await docker("exec", "box", "exit", "3")).code == 3
    happened = await past(docker, "--filter", "event=exec_create", "--filter", "event=exec_start")
    assert happened == ["container exec_create: exit 3", "container exec_start: exit 3"]
    form = '{{index .Actor.Attributes "exitCode"}} {{len (index .Actor.Attributes "execID")}}'
    assert await past(docker, "--filter", "event=exec_die", form=form) == ["3 64"]


async def test_images(docker: Docker) -> None:
    await docker("tag", IMAGE, "mine:1")
    await docker("rmi", "mine:1")
    form = '{{.Type}} {{.Action}} {{index .Actor.Attributes "name"}}'
    assert await past(docker, form=form) == ["image tag mine:1", "image untag mine:1"]
    assert await past(docker, "--filter", "type=container") == []
    assert await past(docker, "--filter", "image=mine") == ["image tag", "image untag"]
    assert await past(docker, "--filter", "image=min") == []


async def test_a_prune(docker: Docker) -> None:
    await docker("create", IMAGE)
    await docker("container", "prune", "-f")
    form = '{{.Type}} {{.Action}} {{.Actor.ID}}{{index .Actor.Attributes "reclaimed"}}'
    assert await past(docker, "--filter", "event=prune", form=form) == ["container prune 0"]


async def test_an_unknown_filter(docker: Docker) -> None:
    refused = await docker("events", "--until", "0s", "--filter", "colour=red")
    assert refused.code == 1
    assert b"invalid filter 'colour'" in refused.err


@asynccontextmanager
async def following(daemon: Daemon, *words: str) -> AsyncIterator[Process]:
    """linwin's own follower."""
    process = await asyncio.create_subprocess_exec(
        "linwin", "--host", daemon.host, "events", *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 30)).decode()


async def test_they_come_as_they_happen(docker: Docker, daemon: Daemon) -> None:
    async with following(daemon, "--since", "0", "--filter", "event=create", "--format", "json") as ours:
        for name in ("one", "two"):
            await docker("create", "--name", name, IMAGE)
            event = json.loads(await line_of(ours))
            assert (event["Action"], event["Actor"]["Attributes"]["name"]) == ("create", name)
            assert event["from"] == event["Actor"]["Attributes"]["image"] == IMAGE
        assert (await docker("info", "--format", "{{.NEventsListener}}")).out == b"1\n"


async def test_the_line_that_people_read(docker: Docker, daemon: Daemon) -> None:
    identity = (await docker("create", "--name", "one", IMAGE)).out.decode().strip()
    async with following(daemon, "--since", "1h", "--until", now()) as ours:
        line = await line_of(ours)
        assert line.endswith(f" container create {identity} (image={IMAGE}, maker=tests, name=one)\n")
        assert await asyncio.wait_for(ours.wait(), 30) == 0
    theirs = await docker("events", "--since", "1h", "--until", now())
    assert theirs.out.decode() == line


async def test_docker_py_follows(daemon: Daemon, docker: Docker) -> None:
    client = await asyncio.to_thread(docker_py.DockerClient, daemon.host)
    stream = await asyncio.to_thread(client.events, since=0, decode=True, filters={"event": "create"})
    for name in ("one", "two"):
        await docker("create", "--name", name, IMAGE)
        event: dict[str, Any] = await asyncio.to_thread(next, stream)
        assert event["Actor"]["Attributes"]["name"] == name
    stream.close()
    client.close()


async def test_a_client_that_goes_away_is_forgotten(
    daemon: Daemon, connection: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, close = asyncio.Event(), Follower.close

    def closing(follower: Follower) -> None:
        close(follower)
        gone.set()

    monkeypatch.setattr(Follower, "close", closing)
    connection.send("GET", "/v1.50/events")
    assert (await connection.head()).status == 200
    assert daemon.engine.events.followers == 1
    connection.writer.close()
    await asyncio.wait_for(gone.wait(), 30)
    assert daemon.engine.events.followers == 0


async def test_past_events_are_bounded() -> None:
    events = Events()
    for number in range(KEPT + 10):
        events.publish("image", "tag", str(number))
    seen = [event.id async for event in events.follow(since=0, until=1)]
    assert seen == []
    until = events._last_ns
    seen = [event.id async for event in events.follow(since=0, until=until)]
    assert seen == [str(number) for number in range(10, KEPT + 10)]
    assert events.followers == 0


async def test_no_two_have_one_time() -> None:
    events = Events()
    for _ in range(100):
        events.publish("image", "tag", "x")
    times = [event.time_ns for event in events._past]
    assert sorted(set(times)) == times


async def test_a_follower_that_is_too_slow_is_told() -> None:
    events = Events()
    follower = events.follow(since=None, until=None)
    for _ in range(BACKLOG + 1):
        events.publish("image", "tag", "x")
    with pytest.raises(Unavailable, match="more than 4096 events waited for a client, and some were lost"):
        async for _ in follower:
            pass
    assert events.followers == 0
