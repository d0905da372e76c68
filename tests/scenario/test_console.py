"""The serial console and the screen of a container's machine: over the socket, and by linwin's commands."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.model.container import Status
from tests.scenario.fakes.gate import Gate
from tests.scenario.fakes.machine import PICTURE, FakeMachine
from tests.scenario.harness import Daemon
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.terminal import Terminal, at_terminal
from tests.scenario.test_hijack import UPGRADE
from tests.scenario.test_lifecycle import pet_in
from tests.scenario.test_linwin_cli import Linwin

BOX = "/linwin/containers/box"
HISTORY = b"linwin-agent: this is a fake\nlinwin-agent: ready\n"
GREETING = b"RFB 003.008\n"


@pytest.fixture
def linwin(daemon: Daemon, short_folder: Path) -> Linwin:
    return Linwin(daemon.host, short_folder)


@pytest.fixture
def windows(daemon: Daemon) -> None:
    """Guests that have a screen."""
    installed = daemon.fakes.templates.installed
    installed["wine"] = replace(installed["wine"], kind="windows")


async def running(daemon: Daemon) -> FakeMachine:
    """The machine of a container called box."""
    container = await create(daemon, "hang")
    await daemon.engine.rename(container, "box")
    await start(daemon, container)
    (machine,) = daemon.fakes.machines.running.values()
    return machine


# Reading


async def test_the_console_is_read_and_followed_to_its_end(daemon: Daemon, connection: RawConnection) -> None:
    machine = await running(daemon)
    answer = await connection.request("GET", f"{BOX}/console")
    assert (answer.status, answer.body) == (200, HISTORY)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    answer = await connection.request("GET", f"{BOX}/console?tail=1")
    assert answer.body == b"linwin-agent: ready\n"
    connection.send("GET", f"{BOX}/console?follow=1&tail=0")
    assert (await connection.head()).status == 200
    machine.written.put_nowait("mounting C:\n")
    assert await connection.chunk() == b"mounting C:\n"
    machine.end(0)
    assert await connection.chunk() == b""


async def test_linwin_console(daemon: Daemon, linwin: Linwin) -> None:
    machine = await running(daemon)
    shown = await linwin("console", "box")
    assert (shown.code, shown.out, shown.err) == (0, HISTORY, b"")
    assert (await linwin("console", "-n", "1", "box")).out == b"linwin-agent: ready\n"
    async with linwin.started("console", "--follow", "box") as following:
        assert following.stdout
        assert await following.stdout.readexactly(len(HISTORY)) == HISTORY
        machine.written.put_nowait("mounting C:\n")
        assert await following.stdout.readline() == b"mounting C:\n"
        await daemon.engine.kill("box", "KILL")
        assert await asyncio.wait_for(following.wait(), 10) == 0


async def test_a_guest_that_comes_up_can_be_watched(daemon: Daemon, connection: RawConnection) -> None:
    gate = daemon.fakes.guests.gate = Gate()
    container = await create(daemon, "hang")
    starting = asyncio.create_task(daemon.engine.start(container))
    await asyncio.wait_for(gate.reached.wait(), 10)
    answer = await connection.request("GET", f"/linwin/containers/{container}/console")
    assert (answer.status, answer.body) == (200, HISTORY)
    starting.cancel()
    await asyncio.wait([starting])
    answer = await connection.request("GET", f"/linwin/containers/{container}/console")
    assert answer.status == 409


# Refusals

REFUSALS: dict[Status, str] = {
    "created": "container {id} is not running\nStart it first: linwin start pet",
    "exited": "container {id} is not running\nStart it first: linwin start pet",
    "dead": "container {id} is not running\nStart it first: linwin start pet",
    "restarting": "Container {id} is restarting, wait until the container is running\n"
    "Its log may say why it ends: linwin logs pet",
}
ROUTES = [("GET", "console"), ("POST", "console"), ("GET", "screenshot"), ("POST", "screen")]


@pytest.mark.parametrize("state", [*REFUSALS, "running", "paused", "stopping"])
@pytest.mark.usefixtures("windows")
async def test_what_has_no_machine_has_no_console(
    daemon: Daemon, connection: RawConnection, state: Status
) -> None:
    async with asyncio.timeout(20), pet_in(daemon, state):
        container = (await daemon.engine.inspect("pet")).id
        for method, what in ROUTES:
            path = f"/v1.50/linwin/containers/pet/{what}"
            upgrade = UPGRADE if method == "POST" else {}
            if state in REFUSALS:
                answer = await connection.request(method, path, **upgrade)
                assert answer.status == 409
                assert answer.json["message"] == REFUSALS[state].format(id=container)
            elif method == "GET":
                assert (await connection.request(method, path)).status == 200


async def test_nobodys_console(daemon: Daemon, connection: RawConnection) -> None:
    for method, what in ROUTES:
        answer = await connection.request(method, f"/linwin/containers/nobody/{what}")
        assert (answer.status, answer.json["message"]) == (404, "No such container: nobody")


async def test_a_wine_guest_has_text_only(daemon: Daemon, connection: RawConnection, linwin: Linwin) -> None:
    await running(daemon)
    no_screen = "box has no screen: the console of a guest of the kind wine is text"
    no_keys = "nobody can type at the console of box: a guest of the kind wine only writes to it"
    for method, what in ROUTES[1:]:
        answer = await connection.request(method, f"{BOX}/{what}")
        assert answer.status == 501
        assert answer.json["message"] == (
            f"{no_keys}\nRun a program in it: linwin exec -it box cmd"
            if what == "console"
            else f"{no_screen}\nRead it: linwin console box"
        )
    for words in (["screenshot", "box"], ["console", "--vnc", "box"]):
        refused = await linwin(*words)
        assert (refused.code, refused.out) == (1, b"")
        assert refused.err.decode() == f"linwin: {no_screen}\nRead it: linwin console box\n"


async def test_detach_keys_that_are_none(daemon: Daemon, connection: RawConnection) -> None:
    await running(daemon)
    answer = await connection.request("POST", f"{BOX}/console?detachKeys=abc")
    assert answer.status == 400
    assert answer.json["message"].startswith("invalid detach keys (abc): unknown key 'abc'")


# Typing and looking


@pytest.mark.usefixtures("windows")
async def test_a_terminal_at_the_console(daemon: Daemon, connection: RawConnection) -> None:
    machine = await running(daemon)
    answer = await connection.request("POST", f"{BOX}/console", **UPGRADE)
    assert (answer.status, answer.headers["content-type"]) == (101, "application/vnd.docker.raw-stream")
    connection.writer.write(b"dir\r")
    assert await connection.reader.readexactly(4) == b"DIR\r"
    connection.writer.write(b"\x10\x11")
    assert await connection.reader.read() == b""
    await connection.close()
    await daemon.engine.kill("box", "KILL")
    assert [line.closed for line in machine.lines] == [True]


@pytest.mark.usefixtures("windows")
async def test_a_line_ends_with_the_machine_and_with_the_client(
    daemon: Daemon, connection: RawConnection
) -> None:
    machine = await running(daemon)
    gone = await RawConnection.open(daemon.paths.socket)
    await gone.request("POST", f"{BOX}/screen", **UPGRADE)
    assert await gone.reader.readexactly(len(GREETING)) == GREETING
    await gone.close()
    await connection.request("POST", f"{BOX}/screen", **UPGRADE)
    await daemon.engine.kill("box", "KILL")
    connection.writer.write(b"too late")
    assert await connection.reader.read() == GREETING
    await connection.close()
    async with asyncio.timeout(10):
        while not all(line.closed for line in machine.lines):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("windows")
async def test_linwin_screenshot(daemon: Daemon, linwin: Linwin, tmp_path: Path) -> None:
    await running(daemon)
    target = tmp_path / "seen.png"
    done = await linwin("screenshot", "-o", str(target), "box")
    assert (done.code, done.out, done.err) == (0, f"{target}\n".encode(), b"")
    assert target.read_bytes() == PICTURE
    done = await linwin("screenshot", "--output", "-", "box")
    assert (done.code, done.out) == (0, PICTURE)
    refused = await linwin("screenshot", "-o", str(tmp_path / "other.png"), "nobody")
    assert (refused.code, refused.err) == (1, b"linwin: No such container: nobody\n")
    assert os.listdir(tmp_path) == ["seen.png"]


Seat = Callable[..., AbstractAsyncContextManager[Terminal]]


@pytest.fixture
def seat(daemon: Daemon, short_folder: Path) -> Seat:
    """linwin's command line in a terminal of its own."""
    env = {"PATH": os.environ["PATH"], "HOME": str(short_folder), "LINWIN_HOST": daemon.host, "TERM": "xterm"}
    return lambda *words: at_terminal(sys.executable, "-m", "linwin", *words, env=env)


@pytest.mark.usefixtures("windows")
async def test_somebody_sits_at_the_console(daemon: Daemon, linwin: Linwin, seat: Seat) -> None:
    await running(daemon)
    async with seat("console", "--interactive", "box") as terminal:
        await terminal.lent()
        terminal.type(b"sac")
        await terminal.shows(b"SAC")
        terminal.type(b"\x10\x11")
        assert await terminal.ends() == 0
        assert terminal.cooked
    refused = await linwin("console", "-i", "box")
    assert refused.code == 1
    assert (
        refused.err == b"linwin: the input device is not a TTY\nRead it only: linwin console --follow box\n"
    )
    async with seat("screenshot", "-o", "-", "box") as terminal:
        await terminal.shows(b"a picture is nothing for a terminal\r\nName a file with -o, or redirect.")
        assert await terminal.ends() == 1


# The screen's port


async def served_at(output: asyncio.StreamReader) -> int:
    line = await asyncio.wait_for(output.readline(), 10)
    assert line.startswith(b"vnc://127.0.0.1:")
    return int(line.rpartition(b":")[2])


@pytest.mark.usefixtures("windows")
async def test_viewers_find_the_screen_at_a_port(daemon: Daemon, linwin: Linwin) -> None:
    machine = await running(daemon)
    async with linwin.started("console", "--vnc", "box") as serving:
        assert serving.stdout
        assert serving.stderr
        port = await served_at(serving.stdout)
        told = await serving.stderr.readline()
        assert told == b"linwin: this is the screen of box; end it with Ctrl-C\n"
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.readexactly(len(GREETING)) == GREETING
            writer.write(b"abc")
            assert await reader.readexactly(3) == b"ABC"
            writer.close()
        taken = await linwin("console", "--vnc", "--port", str(port), "box")
        assert taken.code == 1
        assert taken.err.decode() == (
            f"linwin: viewers cannot be let in at 127.0.0.1:{port}: Address already in use\n"
            "Name another --port, or none.\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(len(GREETING)) == GREETING
        await daemon.engine.kill("box", "KILL")
        assert await reader.read() == b""
        writer.close()
        assert await asyncio.wait_for(serving.wait(), 10) == 0
        assert await serving.stderr.read() == b""
    assert all(line.closed for line in machine.lines)


@pytest.mark.root
@pytest.mark.usefixtures("windows")
async def test_other_users_are_turned_away(daemon: Daemon, linwin: Linwin) -> None:
    await running(daemon)
    nobody = pwd.getpwnam("nobody").pw_uid
    async with linwin.started("console", "--vnc", "box") as serving:
        assert serving.stdout
        assert serving.stderr
        port = await served_at(serving.stdout)
        await serving.stderr.readline()
        probe = f"import socket; print(socket.create_connection(('127.0.0.1', {port})).recv(99))"
        other = await asyncio.create_subprocess_exec(
            "/usr/bin/python3", "-c", probe, user=nobody, cwd="/", stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await other.communicate()
        assert printed == b"b''\n"
        told = await serving.stderr.readline()
        assert told.decode() == f"linwin: a viewer of user {nobody} was turned away\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--vnc", "-i"],
            "conflicting options: --vnc is the screen, --interactive the serial console",
        ),
        (["-i", "-f"], "conflicting options: --follow and --tail are about what is only read"),
        (["--vnc", "-n", "3"], "conflicting options: --follow and --tail are about what is only read"),
        (["--port", "5900"], "--port says where VNC viewers connect: it needs --vnc"),
    ],
)
async def test_options_that_do_not_go_together(linwin: Linwin, words: list[str], sentence: str) -> None:
    refused = await linwin("console", *words, "box")
    assert refused.code == 125
    assert refused.err.decode().splitlines()[0] == f"linwin: {sentence}"
