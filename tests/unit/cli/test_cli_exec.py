"""exec against a scripted daemon."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_container import HIJACKED
from tests.unit.cli.fake_daemon import STDERR, STDOUT, FakeDaemon, Reply, Request, error, frame

CREATE, START, INSPECT = "POST /containers/box/exec", "POST /exec/e1/start", "GET /exec/e1/json"


def exec_of(daemon: FakeDaemon, *, exit_code: int = 0, output: bytes = b"") -> list[bytes]:
    """Script one exec; returns what its stdin will have received."""
    received: list[bytes] = []

    def start(request: Request, connection: socket.socket) -> None:
        connection.sendall(HIJACKED + output)
        if daemon.asked(CREATE).json["AttachStdin"]:
            while data := connection.recv(65536):
                received.append(data)

    daemon.on(CREATE, Reply(201, {"Id": "e1"}))
    daemon.on(START, start)
    daemon.on(INSPECT, {"ExitCode": exit_code, "Running": False})
    return received


def test_dockers_requests_in_dockers_order(daemon: Any, linwin: Any) -> None:
    exec_of(daemon, exit_code=7, output=frame(STDOUT, b"out\n") + frame(STDERR, b"err\n"))
    done = linwin("exec", "box", "cmd", "/c", "ver")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert daemon.routes == [CREATE, START, INSPECT]
    assert daemon.asked(CREATE).json == {
        "Cmd": ["cmd", "/c", "ver"],
        "Env": [],
        "WorkingDir": "",
        "User": "",
        "Privileged": False,
        "Tty": False,
        "DetachKeys": None,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
    }
    assert daemon.asked(START).json == {"Detach": False}


def test_options(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    exec_of(daemon)
    (tmp_path / "env").write_text("A=1\n")
    options = ["-e", "B=2", "--env-file", str(tmp_path / "env"), "-w", "C:\\x", "-u", "me", "--privileged"]
    assert linwin("exec", *options, "box", "node", "-e", "1").code == 0
    body = daemon.asked(CREATE).json
    assert body["Cmd"] == ["node", "-e", "1"]
    assert body["Env"] == ["A=1", "B=2"]
    assert (body["WorkingDir"], body["User"], body["Privileged"]) == ("C:\\x", "me", True)


def test_detached(daemon: Any, linwin: Any) -> None:
    exec_of(daemon)
    daemon.on(START, Reply(200))
    done = linwin("exec", "-d", "-i", "box", "cmd")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert daemon.routes == [CREATE, START]
    assert daemon.asked(START).json == {"Detach": True}
    body = daemon.asked(CREATE).json
    assert (body["AttachStdin"], body["AttachStdout"], body["AttachStderr"]) == (False, False, False)


def test_input(daemon: Any, spawn: Any) -> None:
    received = exec_of(daemon)
    process = spawn("exec", "-i", "box", "sort")
    process.communicate(b"b\na\n", timeout=30)
    assert (process.returncode, b"".join(received)) == (0, b"b\na\n")


@pytest.mark.parametrize(("code", "expected"), [(256, 255), (3221225786, 58), (127, 127)])
def test_exit_codes_have_eight_bits(daemon: Any, linwin: Any, code: int, expected: int) -> None:
    exec_of(daemon, exit_code=code)
    assert linwin("exec", "box", "x").code == expected


def test_a_container_that_does_not_run(daemon: Any, linwin: Any) -> None:
    daemon.on(CREATE, error(409, "container box is not running\nStart it first: linwin start box"))
    done = linwin("exec", "box", "x")
    assert done.code == 1
    assert done.err == "linwin: container box is not running\nStart it first: linwin start box\n"


def test_a_command_is_needed(linwin: Any) -> None:
    done = linwin("exec", "box")
    assert done.code == 1
    assert done.err.startswith("linwin: 'linwin exec' requires at least 2 arguments\n")
