"""Logs with the real state room: options, rotation, drivers, through docker's clients and ours."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linwin.engine.engine import Engine
from linwin.model.container import ContainerSpec
from linwin.model.log_config import LogConfig
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, Daemon, Docker, make_root, served
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.test_state_room import database


@pytest.fixture
async def daemon(short_folder: Path) -> AsyncIterator[Daemon]:
    """A daemon whose logs are files."""
    paths = make_root(short_folder)
    async with database(Fakes(), paths) as stored, served(stored, paths) as daemon:
        yield daemon
        for container in await daemon.engine.list():
            await daemon.engine.remove(container.id, force=True)


@pytest.fixture(params=["docker", "linwin"])
def client(request: pytest.FixtureRequest, docker: Docker, tmp_path: Path) -> Docker:
    """docker's command line, or ours under the same name."""
    if request.param == "docker":
        return docker
    script = tmp_path / "linwin"
    script.write_text(
        f'#!/bin/sh\nLINWIN_HOST="$DOCKER_HOST" exec {sys.executable} -m linwin "$@" </dev/null\n'
    )
    script.chmod(0o755)
    return Docker(str(script), docker.host, docker.home)


def entries(path: Path) -> list[dict[str, str]]:
    """What a log collector finds in a log's file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_log_rotates(client: Docker, daemon: Daemon) -> None:
    options = ("--log-opt", "max-size=1k", "--log-opt", "max-file=3", "--log-opt", "compress=true")
    done = await client("run", "--name", "box", *options, IMAGE, "lines", "200")
    assert done.code == 0
    await daemon.settled()
    path = Path((await client("inspect", "--format", "{{.LogPath}}", "box")).out.decode().strip())
    assert sorted(file.name for file in path.parent.glob("log.json*")) == [
        "log.json", "log.json.1.gz", "log.json.2.gz", "log.json.position",
    ]  # fmt: skip
    assert all(entry["log"] for entry in entries(path))
    shown = await client("logs", "box")
    lines = (shown.out + shown.err).splitlines()
    assert len(lines) == len(set(lines))
    assert 20 < len(lines) < 60
    assert {b"line 198", b"line 199"} < set(lines)
    assert (await client("logs", "-n", "2", "box")).out == b"line 198\n"
    shown = await client("inspect", "--format", "{{json .HostConfig.LogConfig}}", "box")
    config = {"compress": "true", "max-file": "3", "max-size": "1k"}
    assert json.loads(shown.out) == {"Type": "json-file", "Config": config}


async def test_times_bound_what_is_shown(client: Docker, daemon: Daemon) -> None:
    assert (await client("run", "--name", "box", IMAGE, "lines", "6")).code == 0
    stamped = (await client("logs", "-t", "box")).out.split()
    moment = stamped[3].decode()  # of line 2, to the nanosecond
    assert len(moment) == len("2026-01-02T03:04:05.000000006Z")
    assert (await client("logs", "--since", moment, "box")).out == b"line 2\nline 4\n"
    assert (await client("logs", "--until", moment, "box")).out == b"line 0\nline 2\n"
    assert (await client("logs", "--since", "10m", "--tail", "3", "box")).out == b"line 4\n"
    assert (await client("logs", "--until", "10m", "box")).out == b""
    assert (await client("logs", "--tail", "0", "box")).out == b""
    assert (await client("logs", "--tail", "all", "box")).out == b"line 0\nline 2\nline 4\n"


async def test_details_show_what_the_options_chose(client: Docker) -> None:
    options = ("-l", "team=a b", "-e", "COLOUR=red", "--log-opt", "labels=team", "--log-opt", "env=COLOUR")
    assert (await client("run", "--name", "box", *options, IMAGE, "echo", "hi")).code == 0
    assert (await client("logs", "box")).out == b"hi\n"
    assert (await client("logs", "--details", "box")).out == b"COLOUR=red,team=a+b hi\n"
    shown = (await client("logs", "--details", "-t", "box")).out
    assert shown.endswith(b"Z COLOUR=red,team=a+b hi\n")


async def test_none_keeps_nothing_and_shows_all(client: Docker, daemon: Daemon) -> None:
    shown = await client("run", "--name", "box", "--log-driver", "none", IMAGE, "flood", "500000")
    assert len(shown.out) == 500_000
    await daemon.settled()
    refused = await client("logs", "box")
    assert refused.code == 1
    assert b"configured logging driver does not support reading" in refused.err
    form = "{{.HostConfig.LogConfig.Type}}{{.LogPath}}"
    assert (await client("inspect", "--format", form, "box")).out == b"none\n"
    container = await daemon.engine.inspect("box")
    assert not daemon.paths.log(container.id).exists()


async def test_a_driver_that_is_none_of_ours_is_refused(client: Docker, daemon: Daemon) -> None:
    refused = await client("run", "--log-driver", "syslog", IMAGE, "echo")
    assert refused.code == 125
    assert b"logger: no log driver named 'syslog' is registered" in refused.err
    refused = await client("create", "--log-opt", "colour=red", IMAGE, "echo")
    assert b"unknown log opt 'colour' for json-file log driver" in refused.err
    assert await daemon.nothing_left()


async def test_a_paused_containers_log_is_read_and_followed(docker: Docker, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    async with docker.started("logs", "-f", container) as following:
        assert following.stdout
        assert await following.stdout.readline() == b"hanging\n"
        await daemon.engine.pause(container)
        assert (await docker("logs", container)).out == b"hanging\n"
        await daemon.engine.unpause(container)
        await daemon.engine.stop(container, timeout=None)
        assert await following.stdout.read() == b"got TERM\n"


async def test_without_a_terminal_streams_are_chosen_with_one_they_are_raw(daemon: Daemon) -> None:
    connection = await RawConnection.open(daemon.paths.socket)
    for tty in (False, True):
        body = {"Image": IMAGE, "Cmd": ["complain"], "Tty": tty}
        made = (await connection.request("POST", "/containers/create", body)).json["Id"]
        await connection.request("POST", f"/containers/{made}/start")
        await daemon.settled()
        answer = await connection.request("GET", f"/containers/{made}/logs?stderr=1")
        assert answer.body == b"to stderr\n" if tty else b"\x02\0\0\0\0\0\0\x0ato stderr\n"
        refused = await connection.request("GET", f"/containers/{made}/logs")
        assert refused.status == 400
        assert refused.json["message"].startswith("Bad parameters: you must choose at least one stream")
    await connection.close()


@pytest.mark.parametrize("driver", ["none", "json-file"])
async def test_a_new_daemon_goes_on_where_the_log_is(short_folder: Path, driver: str) -> None:
    """The guest is told what the daemon that died had, although most of it has been rotated away."""
    paths, fakes = make_root(short_folder), Fakes()
    async with database(fakes, paths) as stored:
        options = {"max-size": "1k"} if driver == "json-file" else {}
        dying = Engine(stored.rooms, paths, log_default=LogConfig(driver, options))
        await dying.open()
        made = await dying.create(ContainerSpec(IMAGE, cmd=("cat",), open_stdin=True), "box")
        assert (await dying.inspect("box")).spec.log_driver == driver
        await dying.start("box")
        await fakes.guests.last.write(b"0123456789\n" * 1000)
        await fakes.guests.last.acknowledged("stdout", 11_000)
        for task in dying.watching():
            task.cancel()
        await asyncio.wait(dying.watching())
        await stored.state.log(await dying.inspect("box")).finish()
    async with database(fakes, paths) as stored, served(stored, paths) as daemon:
        assert fakes.guests.adopted == {"stdout": 11_000, "stderr": 0}
        await daemon.engine.remove(made.id, force=True)


async def test_info_tells_the_default_driver(daemon: Daemon) -> None:
    daemon.engine.log_default = LogConfig("local")
    info = await asyncio.to_thread(daemon.client.get, "/info")
    assert info["LoggingDriver"] == "local"
    assert info["Plugins"]["Log"] == ["json-file", "local", "none"]
