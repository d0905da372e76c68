"""testcontainers-python with real guests."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy, PortWaitStrategy

from linwin.network import BridgeNetworks
from linwin.paths import Paths
from tests.vm.conftest import GUEST_TIMEOUT, NANOSERVER, Linwin

# docker-py leaves the sockets of hijacked connections to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

SERVER = "require('http').createServer((_, answer) => answer.end('hello')).listen(8080)"
LISTENING = f"{SERVER}.on('listening', () => console.log('listening'))"
CLIENT = {"timeout": GUEST_TIMEOUT}
"""docker-py's own limit is a minute, in which an emulated guest may not have started yet."""


@pytest.fixture(autouse=True)
def settings(linwin: Linwin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", linwin.environment["DOCKER_HOST"])
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)


def test_a_container_is_ready_when_it_says_so() -> None:
    script = "echo ready & ping -n 100000 127.0.0.1 >nul"
    waiting = (
        DockerContainer(NANOSERVER, CLIENT, network_mode="none")
        .with_command(["cmd", "/c", script])
        .waiting_for(LogMessageWaitStrategy("ready").with_startup_timeout(GUEST_TIMEOUT))
    )
    with waiting as container:
        done = container.exec(["cmd", "/c", "echo hi"])
        assert (done.exit_code, done.output.split()) == (0, [b"hi"])


def test_a_published_port_is_reached(linwin: Linwin, program: Callable[[str], str]) -> None:
    if why_not := asyncio.run(BridgeNetworks(Paths(linwin.root, linwin.socket)).unavailable()):
        pytest.skip(f"rooms.network is unavailable: {why_not}")
    waiting = (
        DockerContainer(program("node"), CLIENT)
        .with_command(["node", "-e", LISTENING])
        .with_exposed_ports(8080)
        .waiting_for(PortWaitStrategy(8080).with_startup_timeout(GUEST_TIMEOUT))
    )
    with waiting as container:
        address = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8080)}"
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert answer.read() == b"hello"
