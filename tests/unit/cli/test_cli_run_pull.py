"""run and create of an image that is not here: they pull it, as docker's do."""

from __future__ import annotations

import signal
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from linwin.cli import template_notice
from tests.unit.cli.fake_container import TIMEOUT, FakeContainer
from tests.unit.cli.fake_daemon import Reply, Request, error

NO_IMAGE = error(404, "No such image: x:latest\nLoad it with linwin load.")


@pytest.fixture(autouse=True)
def _told(place: Path) -> None:
    """What runs on Wine was told before: these tests are not about that (test_cli_notice.py is)."""
    marker = template_notice._marker()
    marker.parent.mkdir(parents=True)
    marker.touch()


def test_run_pulls_a_missing_image_and_tries_again(daemon: Any, linwin: Any) -> None:
    container = FakeContainer(daemon)
    pulled = []

    def create(request: Request, connection: Any) -> Reply:
        return Reply(201, {"Id": container.id, "Warnings": ["one"]}) if pulled else NO_IMAGE

    def pull(request: Request, connection: Any) -> Reply:
        pulled.append(request.query)
        return Reply(lines=[{"status": "Pulling fs layer", "id": "abc"}, {"status": "Pulled"}])

    daemon.on("POST /containers/create", create)
    daemon.on("POST /images/create", pull)
    result = linwin("run", "host:5000/x")
    assert result.code == 0
    assert pulled == [{"fromImage": "host:5000/x", "tag": "latest"}]
    assert result.err == (
        "Unable to find image 'host:5000/x:latest' locally\n"
        "abc: Pulling fs layer\nPulled\nlinwin: warning: one\n"
    )


@pytest.mark.parametrize(
    "pull",
    [error(404, "registry says no"), Reply(lines=[{"errorDetail": {"message": "registry says no"}}])],
)
def test_run_of_an_image_that_cannot_be_pulled(daemon: Any, linwin: Any, pull: Reply) -> None:
    daemon.on("POST /containers/create", NO_IMAGE)
    daemon.on("POST /images/create", pull)
    result = linwin("run", "x")
    assert (result.code, result.out) == (125, "")
    assert result.err == "Unable to find image 'x:latest' locally\nlinwin: registry says no\n"
    result = linwin("run", "-q", "x")
    assert (result.code, result.err) == (125, "linwin: registry says no\n")
    result = linwin("create", "-q", "x")
    assert (result.code, result.out, result.err) == (1, "", "linwin: registry says no\n")


def test_run_asks_no_registry_for_an_id(daemon: Any, linwin: Any) -> None:
    identity = "sha256:" + "ab" * 32
    daemon.on("POST /containers/create", error(404, f"No such image: {identity}"))
    result = linwin("run", identity)
    assert (result.code, result.err) == (125, f"linwin: No such image: {identity}\n")
    assert daemon.routes == ["POST /containers/create"]


def test_run_interrupted_in_a_pull(daemon: Any, spawn: Any) -> None:
    begun, hung_up = Event(), Event()

    def pull(request: Request, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"status": "Downloading", "id": "abc"}\r\n')
        begun.set()
        if connection.recv(1) == b"":
            hung_up.set()

    daemon.on("POST /containers/create", NO_IMAGE)
    daemon.on("POST /images/create", pull)
    process = spawn("run", "x")
    assert process.stderr.readline() == b"Unable to find image 'x:latest' locally\n"
    assert process.stderr.readline() == b"abc: Downloading\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=TIMEOUT) == (b"", b"\n")
    assert process.returncode == 130
    assert hung_up.wait(TIMEOUT)


def test_run_pull_policies(daemon: Any, linwin: Any) -> None:
    daemon.on("POST /containers/create", NO_IMAGE)
    result = linwin("run", "--pull", "never", "x")
    assert (result.code, result.err) == (
        125,
        "linwin: No such image: x:latest\nLoad it with linwin load.\n",
    )
    assert daemon.routes == ["POST /containers/create"]
    FakeContainer(daemon)
    daemon.on("POST /images/create", Reply(lines=[]))
    assert linwin("run", "--pull", "always", "--platform", "windows/amd64", "x@sha256:12").code == 0
    assert daemon.asked("POST /images/create").query == {
        "fromImage": "docker.io/library/x",
        "tag": "sha256:12",
        "platform": "windows/amd64",
    }
    assert linwin("run", "--pull", "often", "x").err == (
        'linwin: invalid pull option: \'often\': must be one of "always", "missing" or "never"\n'
        "Run 'linwin run --help' for more information.\n"
    )
