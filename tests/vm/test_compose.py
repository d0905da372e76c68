"""docker compose 2 with real guests: the projects of examples/compose."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.network import BridgeNetworks
from linwin.paths import Paths
from tests.compose import FILE, Compose, compose_program
from tests.vm.conftest import GUEST_TIMEOUT, REPOSITORY, Linwin


@pytest.fixture
def compose(linwin: Linwin, tmp_path: Path) -> Compose:
    return Compose(compose_program("v2"), "v2", tmp_path, linwin.environment["DOCKER_HOST"])


def run(compose: Compose, *words: str) -> str:
    """What a command printed, stderr included."""
    done = subprocess.run(
        compose.command(*words),
        env=compose.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=2 * GUEST_TIMEOUT,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def use(compose: Compose, example: str) -> None:
    shutil.copyfile(REPOSITORY / "examples/compose" / example, compose.folder / FILE)


def test_a_project_without_a_network(linwin: Linwin, compose: Compose) -> None:
    use(compose, "compose.yaml")
    run(compose, "up", "--detach")
    assert linwin.text("wait", "shop-report-1") == "0\n"
    assert "(healthy)" in run(compose, "ps", "--all")
    assert "the worker is well" in run(compose, "logs", "--no-color", "report")
    assert "working" in run(compose, "logs", "--no-color", "worker")
    assert "ready" in run(compose, "exec", "-T", "worker", "cmd", "/c", "type C:\\ready.txt")
    run(compose, "down")
    assert linwin.containers() == []


def test_two_services_talk_by_name(
    linwin: Linwin, compose: Compose, docker_client: str, program: Callable[[str], str]
) -> None:
    if why_not := asyncio.run(BridgeNetworks(Paths(linwin.root, linwin.socket)).unavailable()):
        pytest.skip(f"rooms.network is unavailable: {why_not}")
    assert program("node") == "example/node"
    use(compose, "network.yaml")
    run(compose, "up", "--detach")
    assert linwin.text("wait", "shop-client-1") == "0\n"
    assert "hello from web" in run(compose, "logs", "--no-color", "client")
    run(compose, "down")
    assert linwin.containers() == []
    label = f"label=com.docker.compose.project={compose.project}"
    words = [docker_client, "network", "ls", "--quiet", "--filter", label]
    assert subprocess.run(words, env=linwin.environment, capture_output=True, check=True).stdout == b""


def test_a_volume_and_a_folder_beside_the_file(linwin: Linwin, compose: Compose) -> None:
    use(compose, "volumes.yaml")
    shutil.copytree(REPOSITORY / "examples/compose/conf", compose.folder / "conf")
    run(compose, "up", "--detach")
    assert linwin.text("wait", "shop-read-1") == "0\n"
    assert "setting" in run(compose, "logs", "--no-color", "read")
    run(compose, "down", "--volumes")
    assert linwin.text("volume", "ls", "--quiet") == ""
    assert linwin.containers() == []
