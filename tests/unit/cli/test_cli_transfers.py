"""pull, push and search: docker's words (28.2.2's), the credentials sent, and how they end."""

from __future__ import annotations

import base64
import json
import os
import pty
import signal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.screen import read_terminal

DIGEST = "sha256:" + "ab" * 32
NOBODY = base64.urlsafe_b64encode(b"{}").decode()
PULL = Reply(
    lines=[
        {"status": "Pulling from library/a", "id": "latest"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "abc"},
        {"status": "Downloading", "progressDetail": {"current": 500_000, "total": 1_000_000}, "id": "abc"},
        {"status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 1_000_000}, "id": "abc"},
        {"status": "Pull complete", "progressDetail": {}, "id": "abc"},
        {"status": f"Digest: {DIGEST}"},
        {"status": "Status: Downloaded newer image for a:latest"},
    ]
)


def test_pull_says_what_docker_says(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /images/create", PULL)
    result = linwin("pull", "a")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Using default tag: latest\n"
        "latest: Pulling from library/a\n"
        "abc: Pulling fs layer\n"
        "abc: Downloading\n"
        "abc: Pull complete\n"
        f"Digest: {DIGEST}\n"
        "Status: Downloaded newer image for a:latest\n"
        "docker.io/library/a:latest\n"
    )
    request = daemon.asked("POST /images/create")
    assert request.query == {"fromImage": "docker.io/library/a", "tag": "latest"}
    assert request.headers["x-registry-auth"] == NOBODY


@pytest.mark.parametrize(
    ("words", "query", "out"),
    [
        (["-q", "a"], {"fromImage": "docker.io/library/a", "tag": "latest"}, "docker.io/library/a:latest\n"),
        (["-q", "host:5000/a:1"], {"fromImage": "host:5000/a", "tag": "1"}, "host:5000/a:1\n"),
        (
            ["-q", "--platform", "windows/amd64", f"a:1@{DIGEST}"],
            {"fromImage": "docker.io/library/a", "tag": DIGEST, "platform": "windows/amd64"},
            f"docker.io/library/a:1@{DIGEST}\n",
        ),
    ],
)
def test_pull_asks_for_what_is_named(
    daemon: Any, linwin: Any, words: list[str], query: dict[str, str], out: str
) -> None:
    daemon.on("POST /images/create", PULL)
    result = linwin("pull", *words)
    assert (result.code, result.out, result.err) == (0, out, "")
    assert daemon.asked("POST /images/create").query == query


def test_pull_is_there_under_both_names(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /images/create", PULL)
    assert linwin("image", "pull", "-q", "a").out == "docker.io/library/a:latest\n"
    assert linwin("image", "pull").err.startswith("linwin: 'linwin image pull' requires 1 argument\n")


def test_pull_on_a_terminal_has_bars(daemon: Any, spawn: Any) -> None:
    daemon.on("POST /images/create", PULL)
    terminal, screen_end = pty.openpty()
    process = spawn("pull", "a", stdout=screen_end)
    os.close(screen_end)
    with open(terminal, "rb", buffering=0) as screen:
        shown = read_terminal(screen)
    assert process.communicate(timeout=30)[1] == b""
    assert process.returncode == 0
    assert "latest: Pulling from library/a" in shown
    assert "1.0/1.0 MB" in shown
    assert shown.endswith("docker.io/library/a:latest\r\n")


@pytest.mark.parametrize(
    ("reply", "err"),
    [
        (error(404, "pull access denied for a"), "linwin: pull access denied for a\n"),
        (error(401, "unauthorized: no credentials"), "linwin: unauthorized: no credentials\n"),
        (Reply(lines=[{"errorDetail": {"message": "no basic auth\nlinwin login"}, "error": "x"}]),
         "linwin: no basic auth\nlinwin login\n"),
        (Reply(lines=[{"errorDetail": {"code": 503, "message": "the registry stalls"}, "error": "x"}]),
         "linwin: the registry stalls\n"),
    ],
)  # fmt: skip
def test_a_pull_that_fails(daemon: Any, linwin: Any, reply: Reply, err: str) -> None:
    daemon.on("POST /images/create", reply)
    result = linwin("pull", "a")
    assert (result.code, result.out, result.err) == (1, "Using default tag: latest\n", err)


def test_a_pull_that_loses_its_daemon(daemon: Any, linwin: Any) -> None:
    def cut(_: Any, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{")

    daemon.on("POST /images/create", cut)
    result = linwin("pull", "-q", "a")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("linwin: the daemon closed the connection\n")


def test_a_pull_that_is_interrupted(daemon: Any, spawn: Any) -> None:
    hung_up = Event()

    def stall(_: Any, connection: Any) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"status": "Waiting", "id": "abc"}\r\n')
        if connection.recv(1) == b"":
            hung_up.set()

    daemon.on("POST /images/create", stall)
    process = spawn("pull", "a:1")
    assert process.stdout.readline() == b"abc: Waiting\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"\n")
    assert process.returncode == 130
    assert hung_up.wait(30)


PUSH = Reply(
    lines=[
        {"status": "The push refers to repository [docker.io/library/a]"},
        {"status": "Pushing", "progressDetail": {"current": 1, "total": 2}, "id": "abc"},
        {"status": "Pushed", "progressDetail": {}, "id": "abc"},
        {"status": f"latest: digest: {DIGEST} size: 528"},
        {"progressDetail": {}, "aux": {"Tag": "latest", "Digest": DIGEST, "Size": 528}},
    ]
)
PUSH_ROUTE = "POST /images/docker.io/library/a/push"


def test_push_says_what_docker_says(daemon: Any, linwin: Any) -> None:
    daemon.on(PUSH_ROUTE, PUSH)
    result = linwin("push", "a")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "Using default tag: latest\n"
        "The push refers to repository [docker.io/library/a]\n"
        "abc: Pushing\n"
        "abc: Pushed\n"
        f"latest: digest: {DIGEST} size: 528\n"
    )
    request = daemon.asked(PUSH_ROUTE)
    assert (request.query, request.headers["x-registry-auth"]) == ({"tag": "latest"}, NOBODY)


@pytest.mark.parametrize(
    ("words", "query", "out"),
    [
        (["a:1"], {"tag": "1"}, "docker.io/library/a:1\n"),
        (["a"], {"tag": "latest"}, "docker.io/library/a:latest\n"),
        (["--all-tags", "a"], {}, "docker.io/library/a\n"),
    ],
)
def test_push_quiet(daemon: Any, linwin: Any, words: list[str], query: dict[str, str], out: str) -> None:
    daemon.on(PUSH_ROUTE, PUSH)
    assert linwin("push", "-q", *words).out == out
    assert daemon.asked(PUSH_ROUTE).query == query


def test_push_of_all_tags_takes_no_tag(daemon: Any, linwin: Any) -> None:
    result = linwin("push", "-a", "a:1")
    assert (result.code, result.err) == (1, "linwin: tag can't be used with --all-tags/-a\n")
    assert daemon.requests == []


def test_a_push_that_fails(daemon: Any, linwin: Any) -> None:
    lines = [{"status": "x"}, {"errorDetail": {"message": "denied: no"}, "error": "denied: no"}]
    daemon.on(PUSH_ROUTE, Reply(lines=lines))
    result = linwin("push", "-q", "a:1")
    assert (result.code, result.out, result.err) == (1, "", "linwin: denied: no\n")


FOUND = [
    {
        "name": "a",
        "description": "foo\nbar\x1b[2J " * 5,
        "star_count": 3,
        "is_official": True,
        "is_automated": False,
    },
    {"name": "b/c", "description": "", "star_count": 30, "is_official": False, "is_automated": True},
]


def test_search_has_dockers_columns(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /images/search", FOUND)
    result = linwin("search", "a")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "NAME      DESCRIPTION                                     STARS     OFFICIAL\n"
        "a         foo bar [2J foo bar [2J foo bar [2J foo bar …   3         [OK]\n"
        "b/c                                                       30        \n"
    )
    request = daemon.asked("GET /images/search")
    assert (request.query, request.headers["x-registry-auth"]) == ({"term": "a"}, NOBODY)


def test_search_formats_and_filters(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /images/search", FOUND)
    result = linwin(
        "search", "--limit", "5", "-f", "stars=3", "--format", "{{.Name}} {{.IsOfficial}}", "x.io/a"
    )
    assert result.out == "a [OK]\nb/c \n"
    assert daemon.asked("GET /images/search").query == {
        "term": "x.io/a",
        "limit": "5",
        "filters": '{"stars": ["3"]}',
    }
    rows = [json.loads(line) for line in linwin("search", "--format", "json", "a").out.splitlines()]
    assert rows[1] == {"Name": "b/c", "Description": "", "StarCount": "30", "IsOfficial": "false"}
    assert "foo bar [2J foo bar [2J foo bar [2J foo bar [2J foo" in linwin("search", "--no-trunc", "a").out


def test_a_search_that_finds_nothing(daemon: Any, linwin: Any) -> None:
    daemon.on("GET /images/search", [])
    assert linwin("search", "a").out == "NAME      DESCRIPTION   STARS     OFFICIAL\n"


def test_the_users_credentials_go_along(
    daemon: Any, linwin: Any, docker_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = base64.b64encode(b"me:p:w").decode()
    config = {"auths": {"host:5000": {"auth": secret}, "https://tok.io/v2/": {"identitytoken": "tok"}}}
    (docker_folder / "config.json").write_text(json.dumps(config))
    daemon.on("POST /images/create", PULL)
    daemon.on("POST /images/host:5000/a/push", PUSH)
    daemon.on("GET /images/search", FOUND)
    expected = {"username": "me", "password": "p:w", "serveraddress": "host:5000"}
    for words in (["pull", "host:5000/a"], ["push", "host:5000/a"], ["search", "host:5000/a"]):
        assert linwin(*words).code == 0
        sent = daemon.requests[-1].headers["x-registry-auth"]
        assert json.loads(base64.urlsafe_b64decode(sent)) == expected
    assert linwin("pull", "tok.io/a").code == 0
    sent = daemon.requests[-1].headers["x-registry-auth"]
    assert json.loads(base64.urlsafe_b64decode(sent)) == {"serveraddress": "tok.io", "identitytoken": "tok"}
    assert linwin("pull", "other.io/a").code == 0
    assert daemon.requests[-1].headers["x-registry-auth"] == NOBODY


@pytest.mark.parametrize("words", [["pull", "a:"], ["push", "a@"], ["tag", "a", "b:"]])
def test_a_cut_name(daemon: Any, linwin: Any, words: list[str]) -> None:
    result = linwin(*words)
    assert (result.code, result.out) == (1, "")
    assert result.err == "linwin: invalid reference format\nwrite [REGISTRY/]NAME[:TAG][@DIGEST]\n"
    assert daemon.requests == []
