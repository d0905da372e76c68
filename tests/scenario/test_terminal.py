"""-t: terminals of containers and execs, through both command lines and byte by byte."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from linwin.model.guest import StreamName
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.terminal import Terminal, at_terminal
from tests.scenario.test_hijack import RAW, UPGRADE, attach

Client = Callable[..., AbstractAsyncContextManager[Terminal]]


@pytest.fixture(params=["docker", "linwin"])
def client(request: pytest.FixtureRequest, docker: Docker, daemon: Daemon) -> Client:
    """Either command line, in a terminal of its own."""
    env = {"PATH": os.environ["PATH"], "HOME": str(docker.home), "DOCKER_HOST": docker.host}
    env |= {"LINWIN_HOST": daemon.host, "LINWIN_ROOT": str(daemon.paths.root), "TERM": "xterm"}
    words = [docker.program] if request.param == "docker" else [sys.executable, "-m", "linwin"]

    def run(*arguments: str, **size: int) -> AbstractAsyncContextManager[Terminal]:
        return at_terminal(*words, *arguments, env=env, **size)

    return run


async def test_run_has_our_terminal(client: Client, daemon: Daemon) -> None:
    async with client("run", "--rm", "-it", IMAGE, "screen") as terminal:
        await terminal.shows(b"30x100\r\n")
        assert not terminal.cooked
        terminal.type(b"a\x03\r")
        await terminal.shows(b"<61030d>")
        terminal.resize(50, 132)
        await terminal.shows(b"50x132\r\n")
        terminal.type(b"q")
        assert await terminal.ends() == 5
        assert terminal.cooked
    assert await daemon.nothing_left()


async def test_exec_has_our_terminal(client: Client, docker: Docker, daemon: Daemon) -> None:
    await docker("run", "-d", "--name", "box", IMAGE, "hang")
    async with client("exec", "-it", "box", "screen", rows=40, columns=90) as terminal:
        await terminal.shows(b"40x90\r\n")
        terminal.type(b"\x10\x10")
        await terminal.shows(b"<10>")
        terminal.resize(20, 60)
        await terminal.shows(b"20x60\r\n")
        terminal.type(b"q")
        await terminal.shows(b"<1071>")  # the key held back and q came together
        terminal.type(b"q")
        assert await terminal.ends() == 5
        assert terminal.cooked


async def test_detach_and_attach_again(client: Client, docker: Docker) -> None:
    async with client("run", "-it", "--name", "kept", IMAGE, "screen") as terminal:
        await terminal.shows(b"30x100\r\n")
        terminal.type(b"\x10\x11")
        assert await terminal.ends() == 0
        assert terminal.cooked
    assert (await docker("ps", "-q", "--filter", "name=kept")).out != b""
    async with client("attach", "--detach-keys", "ctrl-a,d", "kept", rows=25, columns=70) as terminal:
        await terminal.shows(b"25x70\r\n")
        terminal.type(b"\x10\x11")
        await terminal.shows(b"<1011>")
        terminal.type(b"\x01d")
        await terminal.shows(b"read escape sequence")
        await terminal.ends()
        assert terminal.cooked
    assert (await docker("kill", "kept")).code == 0


async def test_start_ai(client: Client, docker: Docker) -> None:
    await docker("create", "-it", "--name", "made", IMAGE, "screen")
    async with client("start", "-ai", "made", rows=33, columns=44) as terminal:
        await terminal.shows(b"33x44\r\n")
        terminal.type(b"q")
        assert await terminal.ends() == 5
    logged = await docker("logs", "made")
    assert logged.out.endswith(b"33x44\r\n")
    assert logged.err == b""


@pytest.mark.parametrize("client", ["linwin"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
async def test_a_signal_restores_the_terminal(client: Client, number: signal.Signals, docker: Docker) -> None:
    async with client("run", "-it", "--name", "left", IMAGE, "screen") as terminal:
        await terminal.shows(b"30x100\r\n")
        os.kill(terminal.process.pid, number)
        assert await terminal.ends() == -number
        assert terminal.cooked
    assert (await docker("rm", "-f", "left")).code == 0


async def test_without_i_a_terminal_shows_and_takes_nothing(client: Client) -> None:
    async with client("run", "--rm", "-t", IMAGE, "echo", "hi") as terminal:
        await terminal.shows(b"hi")
        assert await terminal.ends() == 0


async def test_a_terminal_of_a_script_is_refused(docker: Docker) -> None:
    done = await docker("run", "--rm", "-it", IMAGE, "screen", stdin=b"")
    assert done.code == 1
    assert b"not a " in done.err


async def test_output_of_a_terminal_is_raw_and_logged_as_stdout(docker: Docker, daemon: Daemon) -> None:
    container = await create(daemon, "complain", Tty=True)
    connection = await RawConnection.open(daemon.paths.socket)
    query = "stream=1&stdout=1&stderr=1"
    answer = await connection.request("POST", f"/v1.50/containers/{container}/attach?{query}", **UPGRADE)
    assert (answer.status, answer.headers["content-type"]) == (101, RAW)
    await start(daemon, container)
    assert await connection.reader.read() == b"to stdout\nto stderr\n"
    await connection.close()
    assert await docker("logs", container) == Finished(0, b"to stdout\nto stderr\n", b"")


async def test_the_daemon_looks_for_detach_keys_itself(daemon: Daemon) -> None:
    container = await create(daemon, "screen", Tty=True, OpenStdin=True, StdinOnce=True)
    query = "stream=1&stdin=1&stdout=1&detachKeys=ctrl-a"
    connection = await attach(daemon, container, query, **UPGRADE)
    await start(daemon, container)
    assert await connection.reader.readuntil(b"\n") == b"24x80\r\n"
    connection.writer.write(b"x")
    assert await connection.reader.readuntil(b">") == b"<78>"
    connection.writer.write(b"\x01y")
    assert await connection.reader.read() == b""
    await connection.close()
    assert (await daemon.engine.inspect(container)).status == "running"
    await daemon.engine.kill(container, "KILL")


async def test_an_end_of_input_detaches_from_a_terminal(daemon: Daemon) -> None:
    container = await create(daemon, "screen", Tty=True, OpenStdin=True, StdinOnce=True)
    await start(daemon, container)
    connection = await attach(daemon, container, "stream=1&stdin=1&stdout=1", **UPGRADE)
    connection.writer.write_eof()
    assert await connection.reader.read() == b""
    await connection.close()
    assert (await daemon.engine.inspect(container)).status == "running"
    await daemon.engine.kill(container, "KILL")


@pytest.mark.parametrize("query", ["h=0&w=80", "h=24", "h=70000&w=1", "h=-1&w=80"])
async def test_sizes_that_are_none(connection: RawConnection, daemon: Daemon, query: str) -> None:
    container = await create(daemon, "screen", Tty=True)
    answer = await connection.request("POST", f"/containers/{container}/resize?{query}")
    assert (answer.status, answer.json["message"]) == (
        400,
        "a terminal's size needs h and w, from 1 to 65535\nUse resize?h=HEIGHT&w=WIDTH.",
    )


async def test_a_size_before_the_start_is_kept_for_it(daemon: Daemon) -> None:
    container = await create(daemon, "screen", Tty=True, HostConfig={"ConsoleSize": [10, 20]})
    await start(daemon, container)
    assert daemon.fakes.guests.last.spec.terminal == (10, 20)
    await daemon.engine.kill(container, "KILL")
    await daemon.settled()
    await daemon.engine.resize(container, 11, 22)
    await start(daemon, container)
    assert daemon.fakes.guests.last.spec.terminal == (11, 22)
    await daemon.engine.kill(container, "KILL")


async def test_a_size_that_comes_during_the_start_is_caught_up_with(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = await create(daemon, "screen", Tty=True, OpenStdin=True)
    log = daemon.engine.rooms.state.log(await daemon.engine.inspect(container))
    begin = log.begin

    async def resize_then_begin(start: int) -> dict[StreamName, int]:
        await daemon.engine.resize(container, 12, 34)
        return await begin(start)

    monkeypatch.setattr(log, "begin", resize_then_begin)
    connection = await attach(daemon, container, "stream=1&stdout=1", **UPGRADE)
    await start(daemon, container)
    assert await connection.reader.readuntil(b"12x34\r\n") == b"24x80\r\n12x34\r\n"
    await connection.close()
    await daemon.engine.kill(container, "KILL")


async def test_an_exec_is_resized_before_and_after_its_start(daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    connection = await RawConnection.open(daemon.paths.socket)
    body: dict[str, Any] = {"Cmd": ["screen"], "Tty": True, "AttachStdout": True, "AttachStdin": True}
    made = (await connection.request("POST", f"/containers/{container}/exec", body)).json["Id"]
    assert (await connection.request("POST", f"/exec/{made}/resize?h=7&w=8")).status == 200
    hijacked = await RawConnection.open(daemon.paths.socket)
    answer = await hijacked.request("POST", f"/v1.50/exec/{made}/start", {"Tty": True}, **UPGRADE)
    assert (answer.status, answer.headers["content-type"]) == (101, RAW)
    assert await hijacked.reader.readuntil(b"\n") == b"7x8\r\n"
    assert (await connection.request("POST", f"/exec/{made}/resize?h=9&w=10")).status == 200
    assert await hijacked.reader.readuntil(b"\n") == b"9x10\r\n"
    hijacked.writer.write(b"q")
    assert await hijacked.reader.read() == b""
    assert (await connection.request("GET", f"/exec/{made}/json")).json["ExitCode"] == 5
    await asyncio.gather(hijacked.close(), connection.close())
