"""exec, by docker's own clients and byte by byte."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from typing import Any

import pytest

from tests.scenario.fakes.programs import flood_bytes
from tests.scenario.harness import IMAGE, Daemon, Docker, Finished
from tests.scenario.raw_http import RawConnection, create, start
from tests.scenario.test_hijack import MULTIPLEXED, UPGRADE


@pytest.fixture
async def box(docker: Docker) -> str:
    """A container that runs."""
    assert (await docker("run", "-d", "--name", "box", "-e", "MINE=1", IMAGE, "hang")).code == 0
    return "box"


async def ask(daemon: Daemon, method: str, path: str, body: Any = None) -> Any:
    connection = await RawConnection.open(daemon.paths.socket)
    answer = await connection.request(method, path, body)
    await connection.close()
    return answer


async def test_output_and_exit_code(docker: Docker, box: str) -> None:
    assert await docker("exec", box, "complain") == Finished(3, b"to stdout\n", b"to stderr\n")


async def test_the_output_is_not_logged(docker: Docker, box: str) -> None:
    await docker("exec", box, "echo", "hi")
    assert (await docker("logs", box)).out == b"hanging\n"


@pytest.mark.parametrize("version", ["1.30", "1.41"])
async def test_an_older_api(docker: Docker, box: str, version: str) -> None:
    older = Docker(docker.program, docker.host, docker.home, version)
    assert await older("exec", "-i", box, "sort", stdin=b"b\na\n") == Finished(0, b"a\nb\n", b"")


async def test_input_and_its_end(docker: Docker, box: str) -> None:
    data = flood_bytes(3_000_000)
    done = await docker("exec", "-i", box, "cat", stdin=data)
    assert (done.code, done.out == data, done.err) == (0, True, b"")
    assert await docker("exec", box, "cat", stdin=b"ignored") == Finished(0, b"", b"")


async def test_environment_is_the_containers_and_then_its_own(docker: Docker, box: str) -> None:
    done = await docker("exec", "-e", "mine=2", "-e", "NEW=a b", box, "set")
    assert done == Finished(0, b"FROM_IMAGE=yes\nNEW=a b\nmine=2\n", b"")


async def test_folder_and_user(docker: Docker, daemon: Daemon, box: str) -> None:
    await docker("exec", "-w", "C:\\work", "-u", "ContainerUser", "--privileged", box, "echo")
    spec = daemon.fakes.guests.last.spec
    assert (spec.cwd, spec.user) == ("C:\\work", "ContainerUser")


async def test_a_program_that_is_missing_or_cannot_run(docker: Docker, box: str) -> None:
    missing = await docker("exec", box, "nothing.exe")
    assert (missing.code, missing.err) == (127, b"")
    assert missing.out == (
        b"container encountered an error during CreateProcess: nothing.exe: "
        b"The system cannot find the file specified.\r\nCheck the path and the spelling.\r\n"
    )
    denied = await docker("exec", box, "denied")
    assert (denied.code, denied.out) == (126, b'exec: "denied": permission denied\r\n')
    left_out = await docker("exec", box, "powershell", "-c", "1")
    assert left_out.code == 127
    assert b"The wine template has no PowerShell; use a windows template.\r\n" in left_out.out
    detached = await docker("exec", "-d", box, "nothing.exe")
    assert detached.code == 1  # docker's client has no streams to read it from
    assert b"The system cannot find the file specified." in detached.err


async def test_detached(docker: Docker, daemon: Daemon, box: str) -> None:
    assert await docker("exec", "-d", box, "flood", "5000000") == Finished(0, b"", b"")
    assert await asyncio.wait_for(daemon.fakes.guests.last.wait(), 10) == 0  # though nobody reads


async def test_many_at_once(docker: Docker, box: str) -> None:
    done = await asyncio.gather(*(docker("exec", box, "echo", str(n)) for n in range(10)))
    assert done == [Finished(0, b"%d\n" % n, b"") for n in range(10)]


async def test_a_killed_client_leaves_the_program_running(docker: Docker, daemon: Daemon, box: str) -> None:
    async with docker.started("exec", "-i", box, "hang", stdin=PIPE) as client:
        assert client.stdout
        assert await client.stdout.readline() == b"hanging\n"
        process = daemon.fakes.guests.last
        os.kill(client.pid, signal.SIGKILL)
        await client.wait()
    shown = await docker("inspect", "--format", "{{len .ExecIDs}}", box)
    assert shown.out == b"1\n"
    await process.signal("KILL")
    assert await process.wait() == 137


@pytest.mark.parametrize("verb", ["stop", "kill", "rm -f"])
async def test_the_end_of_the_container_is_the_execs(docker: Docker, box: str, verb: str) -> None:
    async with docker.started("exec", box, "stubborn") as client:
        assert client.stdout
        assert await client.stdout.readline() == b"hanging\n"
        assert (await docker(*verb.split(), box)).code == 0
        assert await client.wait() == 137


async def test_of_a_container_that_is_removed_when_it_ends(docker: Docker, daemon: Daemon) -> None:
    await docker("run", "-d", "--rm", "--name", "brief", IMAGE, "hang")
    async with docker.started("exec", "brief", "stubborn") as client:
        assert client.stdout
        assert await client.stdout.readline() == b"hanging\n"
        await docker("stop", "brief")
        assert await client.wait() == 137
    await daemon.settled()
    assert await daemon.nothing_left()


async def test_only_in_a_container_that_runs(docker: Docker, daemon: Daemon) -> None:
    made = (await docker("create", "--name", "made", IMAGE)).out.decode().strip()
    sentence = f"Error response from daemon: container {made} is not running\n"
    done = await docker("exec", "made", "echo")
    assert done == Finished(1, b"", f"{sentence}Start it first: linwin start made\n".encode())
    missing = await docker("exec", "nobody", "echo")
    assert missing.code == 1
    assert missing.err.endswith(b": No such container: nobody\n")  # before it, clients differ
    assert not daemon.fakes.machines.running


async def test_inspect_tells_its_life(daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    body = {"Cmd": ["exit", "300"], "AttachStdout": True, "User": "x", "DetachKeys": "ctrl-a"}
    made = await ask(daemon, "POST", f"/containers/{container[:12]}/exec", body)
    assert made.status == 201
    path = f"/exec/{made.json['Id']}"
    expected = {
        "ID": made.json["Id"],
        "Running": False,
        "ExitCode": None,
        "ProcessConfig": {
            "tty": False,
            "entrypoint": "exit",
            "arguments": ["300"],
            "privileged": False,
            "user": "x",
        },
        "OpenStdin": False,
        "OpenStderr": False,
        "OpenStdout": True,
        "CanRemove": False,
        "ContainerID": container,
        "DetachKeys": "ctrl-a",
        "Pid": 0,
    }
    assert (await ask(daemon, "GET", f"{path}/json")).json == expected
    assert (await ask(daemon, "GET", f"/containers/{container}/json")).json["ExecIDs"] == [made.json["Id"]]
    assert (await ask(daemon, "POST", f"{path}/start", {"Detach": True})).status == 200
    await daemon.fakes.guests.last.wait()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name().startswith("exec ")))
    expected |= {"ExitCode": 300, "CanRemove": True}
    assert (await ask(daemon, "GET", f"{path}/json")).json == expected
    assert (await ask(daemon, "GET", f"/containers/{container}/json")).json["ExecIDs"] is None
    again = await ask(daemon, "POST", f"{path}/start", {"Detach": True})
    assert again.status == 409
    assert again.json["message"].startswith(f"exec command {made.json['Id']} has already run\n")


async def test_a_hijacked_start_without_upgrade(connection: RawConnection, daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    made = await ask(
        daemon, "POST", f"/containers/{container}/exec", {"Cmd": "complain", "AttachStderr": True}
    )
    answer = await connection.request("POST", f"/v1.50/exec/{made.json['Id']}/start", {}, **UPGRADE)
    assert (answer.status, answer.headers["content-type"]) == (101, MULTIPLEXED)
    assert await connection.frame() == (2, b"to stderr\n")  # stdout was not asked for
    assert await connection.reader.read() == b""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No exec command specified\nName the program to run after the container."),
        ({"Cmd": ["x"], "Env": ["=x"]}, "invalid environment variable: =x\nUse NAME=value."),
        (
            {"Cmd": ["x"], "WorkingDir": "work"},
            "the working directory 'work' is invalid, it needs to be an absolute path\n"
            "Name it from its drive, as in C:\\work.",
        ),
        (
            {"Cmd": ["x"], "DetachKeys": "ctrl-"},
            "invalid detach keys (ctrl-): unknown key 'ctrl-'\nSeparate keys by commas; "
            "a key is one character, or ctrl- and a letter or one of @ [ \\ ] ^ _.",
        ),
    ],
)
async def test_malformed_requests(daemon: Daemon, body: dict[str, Any], message: str) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    answer = await ask(daemon, "POST", f"/containers/{container}/exec", body)
    assert (answer.status, answer.json) == (400, {"message": message})


async def test_an_exec_that_nobody_made(daemon: Daemon) -> None:
    for method, what in (("GET", "json"), ("POST", "start")):
        answer = await ask(daemon, method, f"/exec/nobody/{what}", {})
        assert (answer.status, answer.json) == (404, {"message": "No such exec instance: nobody"})


async def test_one_that_was_never_started_goes_with_its_container(daemon: Daemon) -> None:
    container = await create(daemon, "hang")
    await start(daemon, container)
    made = await ask(daemon, "POST", f"/containers/{container}/exec", {"Cmd": ["echo"]})
    await daemon.engine.kill(container, "KILL")
    assert (await ask(daemon, "POST", f"/exec/{made.json['Id']}/start", {})).status == 404
