"""run, create, start -a and attach against a scripted container."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from linwin.cli import template_notice
from tests.unit.cli.fake_container import TIMEOUT, FakeContainer
from tests.unit.cli.fake_daemon import STDERR, STDOUT, Reply, Request, error, frame


@pytest.fixture(autouse=True)
def _told(place: Path) -> None:
    """What runs on Wine was told before: these tests are not about that (test_cli_notice.py is)."""
    marker = template_notice._marker()
    marker.parent.mkdir(parents=True)
    marker.touch()


def body_of(daemon: Any) -> Any:
    return daemon.asked("POST /containers/create").json


def test_run_makes_dockers_requests_in_dockers_order(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon)
    assert linwin("run", "microsoft/nanoserver", "cmd", "/c", "ver").code == 0
    path = "/containers/" + "a1" * 32
    assert daemon.routes == [
        "POST /containers/create",
        f"POST {path}/attach",
        f"POST {path}/wait",
        f"POST {path}/start",
    ]
    assert daemon.asked(f"POST {path}/attach").query == {
        "stdin": "0",
        "stdout": "1",
        "stderr": "1",
        "logs": "0",
        "stream": "1",
    }
    assert daemon.asked(f"POST {path}/wait").query == {"condition": "next-exit"}
    assert body_of(daemon) == {
        "Image": "microsoft/nanoserver",
        "Cmd": ["cmd", "/c", "ver"],
        "Entrypoint": None,
        "Env": [],
        "WorkingDir": "",
        "User": "",
        "Hostname": "",
        "Domainname": "",
        "Labels": {},
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {"AutoRemove": False, "Memory": 0, "NanoCpus": 0},
    }


def test_run_sends_what_its_options_say(
    daemon: Any, linwin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = FakeContainer(daemon)
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=from file\n  B=2=3\nINHERITED\nABSENT\n")
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.delenv("ABSENT", raising=False)
    options = ["--rm", "--name", "web", "--entrypoint", "node", "--env-file", str(file), "-e", "A=1"]
    options += [
        "-e",
        "INHERITED",
        "-e",
        "ABSENT",
        "-w",
        r"C:\x",
        "-u",
        "me",
        "-h",
        "box",
        "-l",
        "a=b",
        "-l",
        "c",
    ]
    options += ["-m", "1.5g", "--cpus", "2", "--stop-signal", "TERM", "--stop-timeout", "7", "-i"]
    options += ["--platform", "windows/amd64"]
    assert linwin("run", "-d", *options, "x", "--version").out == f"{container.id}\n"
    request = daemon.asked("POST /containers/create")
    assert request.query == {"name": "web", "platform": "windows/amd64"}
    body = request.json
    assert body["Entrypoint"] == ["node"]
    assert body["Cmd"] == ["--version"]
    assert body["Env"] == ["A=from file", "B=2=3", "INHERITED=yes", "A=1", "INHERITED=yes", "ABSENT"]
    assert (body["WorkingDir"], body["User"], body["Hostname"]) == (r"C:\x", "me", "box")
    assert body["Labels"] == {"a": "b", "c": ""}
    assert (body["StopSignal"], body["StopTimeout"]) == ("TERM", 7)
    assert body["HostConfig"] == {"AutoRemove": True, "Memory": 1536 * 2**20, "NanoCpus": 2 * 10**9}
    assert (body["OpenStdin"], body["StdinOnce"], body["AttachStdin"]) == (True, False, False)


def test_run_keeps_stdout_and_stderr_apart_and_every_byte(daemon: Any, spawn: Any) -> None:
    blob = bytes(range(256)) * 4096 * 8

    def program(container: FakeContainer, connection: Any) -> None:
        connection.sendall(frame(STDERR, b"warn\xff\r\n"))
        for start in range(0, len(blob), 50000):
            connection.sendall(frame(STDOUT, blob[start : start + 50000]))

    FakeContainer(daemon, program, exit_code=42)
    process = spawn("run", "x")
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 42
    assert out == blob
    assert err == b"warn\xff\r\n"


def test_run_interactive_feeds_stdin_and_half_closes(daemon: Any, spawn: Any) -> None:
    def program(container: FakeContainer, connection: Any) -> None:
        container.read_stdin(connection)
        connection.sendall(frame(STDOUT, container.stdin.upper()))

    FakeContainer(daemon, program)
    process = spawn("run", "-i", "x")
    out, _ = process.communicate(b"b\na\n" * 100_000, timeout=TIMEOUT)
    assert (process.returncode, out) == (0, b"B\nA\n" * 100_000)
    assert (body_of(daemon)["OpenStdin"], body_of(daemon)["StdinOnce"]) == (True, True)


def test_run_without_i_leaves_stdin_alone(daemon: Any, spawn: Any, tmp_path: Path) -> None:
    FakeContainer(daemon)
    input_file = tmp_path / "in"
    input_file.write_bytes(b"not for you")
    with open(input_file, "rb") as stdin:
        process = spawn("run", "x", stdin=stdin)
        assert process.wait(TIMEOUT) == 0
        assert stdin.tell() == 0


@pytest.mark.parametrize(
    ("streams", "query"),
    [(["-a", "stdout"], ("0", "1", "0")), (["-a", "stderr", "-a", "STDIN", "-i"], ("1", "0", "1"))],
)
def test_run_attaches_to_the_named_streams(
    daemon: Any, spawn: Any, streams: list[str], query: tuple[str, ...]
) -> None:
    container = FakeContainer(daemon)
    process = spawn("run", *streams, "x")
    process.communicate(timeout=TIMEOUT)
    asked = daemon.asked(f"POST /containers/{container.id}/attach").query
    assert (asked["stdin"], asked["stdout"], asked["stderr"]) == query


@pytest.mark.parametrize(
    ("windows_code", "code"),
    [(0, 0), (1, 1), (255, 255), (256, 255), (65536, 255), (0xC0000005, 5), (0xFFFFFFFF, 255)],
)
def test_run_never_turns_a_failure_into_success(
    daemon: Any, linwin: Any, windows_code: int, code: int
) -> None:
    FakeContainer(daemon, exit_code=windows_code)
    assert linwin("run", "x").code == code


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, 'exec: "nope": executable file not found in %PATH%', 127),
        (400, "The system cannot find the file specified.", 127),
        (400, "exec: Permission denied", 126),
        (503, "the guest did not say hello within 60 s", 125),
        (409, "the container is already running", 125),
    ],
)
def test_run_exit_code_of_a_failed_start(
    daemon: Any, linwin: Any, status: int, message: str, code: int
) -> None:
    FakeContainer(daemon, start_reply=error(status, f"{message}\nDo something."))
    result = linwin("run", "--rm", "x")
    assert (result.code, result.out, result.err) == (code, "", f"linwin: {message}\nDo something.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forwards_signals(daemon: Any, spawn: Any, number: signal.Signals) -> None:
    def program(container: FakeContainer, connection: Any) -> None:
        connection.sendall(frame(STDOUT, b"up"))
        assert container.killed.wait(TIMEOUT)
        connection.sendall(frame(STDOUT, b" down"))

    container = FakeContainer(daemon, program, exit_code=130)
    process = spawn("run", "x")
    assert process.stdout.read(2) == b"up"
    process.send_signal(number)
    assert process.stdout.read() == b" down"
    assert process.wait(TIMEOUT) == 130
    assert container.signals == [number.name]


def test_run_delivers_a_signal_that_came_before_the_start(daemon: Any, spawn: Any) -> None:
    container = FakeContainer(daemon, lambda container, _: container.killed.wait(TIMEOUT) and None)
    starting, go_on = Event(), Event()

    def start(request: Request, connection: Any) -> Reply:
        starting.set()
        assert go_on.wait(TIMEOUT)
        container.started.set()
        return Reply(204)

    daemon.on(f"POST /containers/{container.id}/start", start)
    process = spawn("run", "x")
    assert starting.wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == (
        b"linwin: SIGINT will be sent when the container runs (once more: leave it alone)\n"
    )
    assert container.signals == []
    go_on.set()
    _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err, container.signals) == (0, b"", ["SIGINT"])


def test_run_lets_go_at_the_second_signal_before_the_start(daemon: Any, spawn: Any) -> None:
    container = FakeContainer(daemon)
    starting, go_on = Event(), Event()

    def start(request: Request, connection: Any) -> None:
        starting.set()
        go_on.wait(TIMEOUT)

    daemon.on(f"POST /containers/{container.id}/start", start)
    process = spawn("run", "x")
    assert starting.wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline().startswith(b"linwin: SIGINT will be sent")
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 130
    assert process.stderr.read() == b"\n"
    assert container.signals == []
    container.started.set()
    go_on.set()


def test_run_whose_reader_hangs_up_leaves_the_container_alone(daemon: Any, spawn: Any) -> None:
    def program(container: FakeContainer, connection: Any) -> None:
        with suppress(ConnectionError):
            while True:
                connection.sendall(frame(STDOUT, b"x" * 65536))

    container = FakeContainer(daemon, program)
    reader, writer = os.pipe()
    process = spawn("run", "x", stdout=writer)
    os.close(writer)
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    _, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, err, container.signals) == (1, b"", [])


def test_run_that_loses_the_daemon(daemon: Any, linwin: Any) -> None:
    container = FakeContainer(daemon)
    daemon.on(f"POST /containers/{container.id}/wait", Reply(body=b""))
    result = linwin("run", "x")
    assert (result.code, result.out) == (125, "")
    assert result.err == "linwin: the daemon closed the connection before the container ended\n"


@pytest.mark.parametrize("words", [["run", "-it", "x"], ["exec", "-it", "box", "x"]])
def test_a_script_is_no_terminal(daemon: Any, spawn: Any, words: list[str]) -> None:
    process = spawn(*words)
    _, printed = process.communicate(b"", timeout=30)
    assert process.returncode == 1
    assert printed.decode() == (
        "linwin: the input device is not a TTY\n"
        f"Leave out -t: {words[0]} -i passes standard input on as it is.\n"
    )
    assert daemon.routes == []


def test_run_t_asks_for_a_terminal(daemon: Any, linwin: Any) -> None:
    FakeContainer(daemon)
    assert linwin("run", "-d", "-t", "x").code == 0
    assert (body_of(daemon)["Tty"], body_of(daemon)["HostConfig"]["ConsoleSize"]) == (True, [0, 0])


def test_detach_keys_are_checked_here(linwin: Any) -> None:
    done = linwin("run", "--detach-keys", "ctrl-1", "x")
    assert done.code == 125
    assert done.err.startswith(
        "linwin: invalid argument for --detach-keys: \"ctrl-1\": unknown key 'ctrl-1'. Separate keys by "
    )


def test_run_reads_environment_files_strictly(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nB C=2\n")
    result = linwin("run", "--env-file", str(file), "x")
    assert (result.code, result.err) == (
        125,
        f"linwin: invalid variable name in {file}, line 2: 'B C'\nwrite NAME=VALUE on each line\n",
    )
    result = linwin("run", "--env-file", "/nonexistent", "x")
    assert result.err == "linwin: cannot read the environment file /nonexistent: No such file or directory\n"
    assert "invalid environment variable: '=x'" in linwin("run", "-e", "=x", "x").err
    assert daemon.requests == []


def test_create_prints_the_id(daemon: Any, linwin: Any) -> None:
    container = FakeContainer(daemon)
    assert linwin("create", "-i", "x", "cmd").out == f"{container.id}\n"
    assert body_of(daemon)["AttachStdin"] is True
    assert daemon.routes == ["POST /containers/create"]


def test_start_prints_names_and_start_a_is_the_containers_terminal(daemon: Any, linwin: Any) -> None:
    container = FakeContainer(
        daemon, lambda _, connection: connection.sendall(frame(STDOUT, b"hi")), exit_code=3
    )
    daemon.on("GET /containers/web/json", container.description())
    daemon.on("POST /containers/web/start", container._start)
    assert linwin("start", "-a", "web").code == 3
    assert linwin("start", "web").out == "web\n"
    assert linwin("start", "-a", "web", "other").err.startswith(
        "linwin: you cannot start and attach multiple containers at once\n"
    )


def test_attach_needs_a_running_container(daemon: Any, linwin: Any) -> None:
    container = FakeContainer(daemon, exit_code=5)
    daemon.on("GET /containers/web/json", container.description())
    result = linwin("attach", "web")
    assert (result.code, result.err) == (
        1,
        "linwin: You cannot attach to a stopped container, start it first\nlinwin start -a web\n",
    )
    container.started.set()
    description = container.description(running=True, stdin=False)
    for state, sentence in (
        ("Paused", "You cannot attach to a paused container, unpause it first"),
        ("Restarting", "You cannot attach to a restarting container, wait until it is running"),
    ):
        daemon.on("GET /containers/web/json", {**description, "State": {"Running": True, state: True}})
        assert linwin("attach", "web").err.startswith(f"linwin: {sentence}\n")
    daemon.on("GET /containers/web/json", description)
    assert linwin("attach", "web").code == 5
    assert daemon.asked(f"POST /containers/{container.id}/wait").query == {"condition": "not-running"}
    assert daemon.asked(f"POST /containers/{container.id}/attach").query["stdin"] == "0"


def test_labels_of_files_and_of_options(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    FakeContainer(daemon)
    file = tmp_path / "labels"
    file.write_text("# note\na=1\n\nalone\nb=x=y\n")
    assert linwin("run", "--label-file", str(file), "-l", "a=2", "--label", "c", "x").code == 0
    assert body_of(daemon)["Labels"] == {"a": "2", "alone": "", "b": "x=y", "c": ""}
    file.write_text("a b=1\n")
    refused = linwin("run", "--label-file", str(file), "x")
    assert refused.code == 125
    assert refused.err.startswith(f"linwin: invalid label name in {file}, line 1: 'a b'\n")


def test_the_id_in_a_file(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    FakeContainer(daemon)
    file = tmp_path / "cid"
    assert linwin("create", "--cidfile", str(file), "x").code == 0
    assert file.read_text() == "a1" * 32
    again = linwin("run", "--cidfile", str(file), "x")
    assert (again.code, again.out) == (125, "")
    assert again.err == (
        f"linwin: container ID file found, make sure the other container isn't running or delete {file}\n"
    )
    assert file.read_text() == "a1" * 32


def test_no_id_and_no_file(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    daemon.on("POST /containers/create", error(409, "Conflict."))
    file = tmp_path / "cid"
    assert linwin("run", "--cidfile", str(file), "x").code == 125
    assert not file.exists()
    unwritable = linwin("create", "--cidfile", "/nonexistent/cid", "x")
    assert unwritable.code == 1
    assert "cannot create the container ID file /nonexistent/cid: No such file or directory" in unwritable.err
