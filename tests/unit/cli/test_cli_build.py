"""linwin build, against a scripted daemon: what is asked, what is shown, and how it ends."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import signal
import socket
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from linwin.cli import build_context
from linwin.cli.build import build_arguments
from linwin.errors import InvalidRequest
from tests.unit.cli.conftest import Result
from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.screen import read_terminal

ROUTE = "POST /build"
ID = "sha256:" + "ab" * 32


def step(text: str, number: int = 1) -> dict[str, Any]:
    return {"stream": text, "linwin": {"stage": "0", "step": number, "steps": 2}}


BEGUN = [
    step("Step 1/2 : FROM x\n"),
    {"status": "Downloading", "id": "abc", "progressDetail": {"current": 1, "total": 2}},
    step(" ---> 0123456789ab\n"),
    step("Step 2/2 : RUN y\n", 2),
    step(" ---> Running in 0123456789ab\n", 2),
    step("output\n", 2),
]
BUILT = [
    *BEGUN,
    step(" ---> abababababab\n", 2),
    {"stream": "Successfully built abababababab\n"},
    {"aux": {"ID": ID}},
]
MESSAGE = "The command 'cmd /S /C y' returned a non-zero code: 3"
FAILURE = {"errorDetail": {"code": 3, "message": MESSAGE}, "error": MESSAGE}
SHOWN = (
    "Step 1/2 : FROM x\nabc: Downloading\n ---> 0123456789ab\nStep 2/2 : RUN y\n"
    " ---> Running in 0123456789ab\noutput\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "context"
    root.mkdir()
    (root / "Dockerfile").write_text("FROM x\nRUN y\n")
    (root / "file").write_text("content")
    return root


def names(body: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return tar.getnames()


@pytest.mark.parametrize("words", [("build",), ("image", "build"), ("builder", "build")])
def test_a_build(daemon: Any, linwin: Any, folder: Path, words: tuple[str, ...]) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    result = linwin(*words, "-t", "team/app:1", str(folder))
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Sending build context to the daemon  10.24kB\n"
        f"{SHOWN} ---> abababababab\nSuccessfully built abababababab\n"
    )
    request = daemon.asked(ROUTE)
    assert request.headers["content-type"] == "application/x-tar"
    assert names(request.body) == ["Dockerfile", "file"]
    assert request.query == {
        "t": "team/app:1",
        "dockerfile": "Dockerfile",
        "nocache": "0",
        "pull": "0",
        "q": "0",
        "rm": "1",
        "forcerm": "0",
        "memory": "0",
    }


def test_all_options(
    daemon: Any, linwin: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FROM_US", "ours")
    monkeypatch.delenv("NOBODYS", raising=False)
    daemon.on(ROUTE, Reply(lines=BUILT))
    options = "--add-host a:1.2.3.4 --build-arg A=b=c --build-arg FROM_US --build-arg NOBODYS "
    options += "--cache-from c:1 --force-rm --label l=v --label bare -m 1g --network lan --no-cache "
    options += "--platform windows/amd64 --progress plain --pull --rm=false --target t --timestamp 1700000000"
    result = linwin("build", *options.split(), "--iidfile", f"{tmp_path}/id", str(folder))
    assert result.code == 0, result.err
    query = daemon.asked(ROUTE).query
    assert {name: json.loads(query.pop(name)) for name in ("buildargs", "labels", "cachefrom")} == {
        "buildargs": {"A": "b=c", "FROM_US": "ours", "NOBODYS": None},
        "labels": {"l": "v", "bare": ""},
        "cachefrom": ["c:1"],
    }
    assert query == {
        "dockerfile": "Dockerfile",
        "extrahosts": "a:1.2.3.4",
        "forcerm": "1",
        "memory": "1073741824",
        "networkmode": "lan",
        "nocache": "1",
        "platform": "windows/amd64",
        "pull": "1",
        "q": "0",
        "rm": "0",
        "target": "t",
        "timestamp": "1700000000",
    }
    assert (tmp_path / "id").read_text() == ID


def test_a_command_that_fails_gives_its_code(daemon: Any, linwin: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("of an earlier build")
    daemon.on(ROUTE, Reply(lines=[*BEGUN, FAILURE]))
    result = linwin("build", "--iidfile", f"{tmp_path}/id", str(folder))
    assert (result.code, result.err) == (3, f"linwin: {MESSAGE}\n")
    assert result.out.endswith(SHOWN)
    assert not (tmp_path / "id").exists()


@pytest.mark.parametrize(("code", "ours"), [(0xC0000005, 5), (256, 255)])
def test_a_code_of_32_bits(daemon: Any, linwin: Any, folder: Path, code: int, ours: int) -> None:
    daemon.on(ROUTE, Reply(lines=[{"errorDetail": {"code": code, "message": "x"}, "error": "x"}]))
    assert linwin("build", str(folder)).code == ours


def test_other_failures(daemon: Any, linwin: Any, folder: Path) -> None:
    message = "COPY failed: no source files were specified\nName one."
    daemon.on(ROUTE, Reply(lines=[*BEGUN, {"errorDetail": {"message": message}, "error": message}]))
    result = linwin("build", str(folder))
    assert (result.code, result.err) == (1, f"linwin: {message}\n")
    daemon.on(ROUTE, error(400, "invalid reference format"))
    result = linwin("build", "-t", "A", str(folder))
    assert (result.code, result.err) == (1, "linwin: invalid reference format\n")
    daemon.on(ROUTE, Reply(lines=BEGUN))
    result = linwin("build", str(folder))
    assert (result.code, result.err) == (1, "linwin: the daemon did not say which image was built\n")


def test_quiet(daemon: Any, linwin: Any, folder: Path, tmp_path: Path) -> None:
    daemon.on(ROUTE, Reply(lines=[{"stream": f"{ID}\n"}]))
    assert linwin("build", "-q", "--iidfile", f"{tmp_path}/id", str(folder)) == Result(0, f"{ID}\n", "")
    assert daemon.asked(ROUTE).query["q"] == "1"
    assert (tmp_path / "id").read_text() == ID
    daemon.on(ROUTE, Reply(lines=[{"stream": "Step 1/1 : RUN y\nout\n"}, FAILURE]))
    assert linwin("build", "-q", str(folder)) == Result(3, "", f"Step 1/1 : RUN y\nout\nlinwin: {MESSAGE}\n")


def test_raw_json(daemon: Any, linwin: Any, folder: Path) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    result = linwin("build", "--progress", "rawjson", str(folder))
    assert [json.loads(one) for one in result.out.splitlines()] == BUILT


def test_a_context_on_standard_input(daemon: Any, spawn: Any) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    process = spawn("build", "-f", "sub/Dockerfile", "-")
    out, err = process.communicate(b"FROM x\n", timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert out.startswith(b"Sending build context to the daemon  7B\n")
    assert daemon.asked(ROUTE).body == b"FROM x\n"
    assert daemon.asked(ROUTE).query["dockerfile"] == "sub/Dockerfile"


def test_a_dockerfile_on_standard_input(daemon: Any, spawn: Any, folder: Path) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    process = spawn("build", "-f", "-", str(folder))
    process.communicate(b"FROM stdin\n", timeout=30)
    assert process.returncode == 0
    request = daemon.asked(ROUTE)
    with tarfile.open(fileobj=io.BytesIO(request.body)) as tar:
        file = tar.extractfile(request.query["dockerfile"])
        assert file is not None
        assert file.read() == b"FROM stdin\n"


def test_an_address_is_left_to_the_daemon(daemon: Any, linwin: Any) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    result = linwin("build", "-f", "Own", "https://git.example/a.git#main:sub")
    assert (result.code, result.out.startswith("Step 1/2")) == (0, True)
    request = daemon.asked(ROUTE)
    assert request.query["remote"] == "https://git.example/a.git#main:sub"
    assert (request.query["dockerfile"], request.body) == ("Own", b"")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-f", "-", "-"], "can't use stdin for both build context and dockerfile\n"),
        (
            ["-f", "-", "https://x.example/a.tar"],
            "can't use a Dockerfile on standard input with a context that the daemon fetches\n"
            "Fetch it first: linwin build -f - PATH\n",
        ),
        (["/no/such"], 'unable to prepare context: path "/no/such" not found\n'),
        (
            ["-t", "a:", "."],
            "invalid reference format\nwrite [REGISTRY/]NAME[:TAG][@DIGEST]\n",
        ),
        (["--build-arg", "=x", "."], "invalid build argument: '=x'\nwrite NAME=VALUE or NAME\n"),
        (
            ["--iidfile", "/proc/none/id", "/no/such"],
            'unable to prepare context: path "/no/such" not found\n',
        ),
    ],
)
def test_what_is_no_build(daemon: Any, linwin: Any, words: list[str], sentence: str) -> None:
    assert linwin("build", *words) == Result(1, "", f"linwin: {sentence}")
    assert daemon.requests == []


def test_a_mode_that_there_is_not(daemon: Any, linwin: Any) -> None:
    result = linwin("build", "--progress", "loud", ".")
    assert (result.code, result.err.splitlines()[0]) == (
        125,
        'linwin: invalid argument for --progress: "loud" is none of auto, plain, tty and rawjson',
    )


def test_an_id_file_that_cannot_be_written(daemon: Any, linwin: Any, folder: Path, tmp_path: Path) -> None:
    daemon.on(ROUTE, Reply(lines=BUILT))
    result = linwin("build", "--iidfile", f"{tmp_path}/none/id", str(folder))
    assert (result.code, result.err) == (
        1,
        f"linwin: cannot write the image ID file {tmp_path}/none/id: No such file or directory\n",
    )


def test_a_context_that_breaks_off_is_not_taken_for_a_whole_one(
    place: Path, linwin: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon sees its client go, and never the end of an upload."""
    whole = build_context.local_context

    def and_then_it_goes(path: str, dockerfile: str | None) -> Any:
        context = whole(path, dockerfile)
        (folder / "file").unlink()
        return context

    def receive() -> bytes:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as reader:
            return reader.read()

    monkeypatch.setattr(build_context, "local_context", and_then_it_goes)
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as threads:
        listener.bind(str(place / "s"))
        listener.listen()
        received = threads.submit(receive)
        result = linwin("build", str(folder))
        upload = received.result(30)
    assert (result.code, result.err) == (
        1,
        f"linwin: cannot read {folder}/file: No such file or directory\n",
    )
    assert b"FROM x\nRUN y\n" in upload
    assert not upload.endswith(b"0\r\n\r\n")


def test_an_interrupt_hangs_up(daemon: Any, spawn: Any, folder: Path) -> None:
    begun, gone = Event(), Event()

    def never_ends(_: Any, connection: Any) -> None:
        line = json.dumps(BEGUN[0]).encode() + b"\r\n"
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"%x\r\n%s\r\n" % (len(line), line))
        begun.set()
        assert connection.recv(1) == b""
        gone.set()

    daemon.on(ROUTE, never_ends)
    process = spawn("build", str(folder))
    assert begun.wait(30)
    shown = process.stdout.readline() + process.stdout.readline()
    assert shown.endswith(b"Step 1/2 : FROM x\n")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, b"\n")
    assert gone.wait(30)


def on_a_terminal(spawn: Any, *words: str) -> tuple[int, str, bytes]:
    terminal, theirs = pty.openpty()
    process = spawn(*words, stdout=theirs)
    os.close(theirs)
    with open(terminal, "rb", buffering=0) as screen:
        shown = read_terminal(screen)
    _, err = process.communicate(timeout=30)
    return process.returncode, shown, err


def test_on_a_terminal(daemon: Any, spawn: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    cached = [step("Step 1/2 : FROM x\n"), step(" ---> Using cache\n"), *BUILT[2:]]
    daemon.on(ROUTE, Reply(lines=cached))
    code, shown, err = on_a_terminal(spawn, "build", str(folder))
    assert (code, err) == (0, b"")
    assert " => Sending build context to the daemon  10.24kB" in shown
    assert " => CACHED [1/2] FROM x" in shown
    assert " => [2/2] RUN y" in shown
    assert "0.0s" in shown
    assert "Successfully built abababababab" in shown
    assert "Using cache" not in shown


def test_a_failure_on_a_terminal_shows_what_was_printed(
    daemon: Any, spawn: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    other = {"stream": "Step 3/3 : RUN other\n", "linwin": {"stage": "more", "step": 3, "steps": 3}}
    daemon.on(ROUTE, Reply(lines=[*BEGUN, other, step("\x1b[2Jlast words", 2), FAILURE]))
    code, shown, err = on_a_terminal(spawn, "build", str(folder))
    assert (code, err) == (3, f"linwin: {MESSAGE}\n".encode())
    tail = shown[shown.index(" => ERROR [2/2] RUN y") :]
    assert " => => # output" in tail
    assert " => => # last words" in tail
    assert " => CANCELED [more 3/3] RUN other" in tail
    assert "\x1b[2J" not in shown


def test_all_credentials_go_along(daemon: Any, linwin: Any, folder: Path, config: Path) -> None:
    secret = base64.b64encode(b"me:p:w").decode()
    config.write_text(
        json.dumps(
            {
                "auths": {"host:5000": {"auth": secret}, "https://index.docker.io/v1/": {"auth": secret}},
                "credHelpers": {"broken.io": "is-not-installed"},
            }
        )
    )
    daemon.on(ROUTE, Reply(lines=BUILT))
    result = linwin("build", str(folder))
    assert result.code == 0
    assert result.err == (
        "linwin: warning: building without credentials for broken.io: "
        "cannot run the credential helper docker-credential-is-not-installed: No such file or directory\n"
    )
    sent = json.loads(base64.urlsafe_b64decode(daemon.asked(ROUTE).headers["x-registry-config"]))
    assert sent == {
        server: {"username": "me", "password": "p:w", "serveraddress": server}
        for server in ("host:5000", "https://index.docker.io/v1/")
    }


def test_build_arguments_need_names() -> None:
    with pytest.raises(InvalidRequest, match="invalid build argument: ''"):
        build_arguments(["A=1", ""])
