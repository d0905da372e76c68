"""Published ports by docker's own command line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import attached, complaint, inspected, ok

PORTS = [
    (["-p", "8080:80"], {"80/tcp": ["0.0.0.0:8080"]}, "0.0.0.0:8080->80/tcp"),
    (["-p", "80"], {"80/tcp": ["0.0.0.0:49153"]}, "0.0.0.0:49153->80/tcp"),
    (["-p", "127.0.0.1:53:53/udp"], {"53/udp": ["127.0.0.1:53"]}, "127.0.0.1:53->53/udp"),
    (["-p", "[::1]:8080:80"], {"80/tcp": ["::1:8080"]}, "[::1]:8080->80/tcp"),
    (
        ["-p", "8000-8002:8000-8002"],
        {"8000/tcp": ["0.0.0.0:8000"], "8001/tcp": ["0.0.0.0:8001"], "8002/tcp": ["0.0.0.0:8002"]},
        "0.0.0.0:8000-8002->8000-8002/tcp",
    ),
    (["-p", "9000-9005:80"], {"80/tcp": ["0.0.0.0:9001"]}, "0.0.0.0:9001->80/tcp"),
    (
        ["-P", "--expose", "80", "--expose", "81"],
        {"80/tcp": ["0.0.0.0:49153"], "81/tcp": ["0.0.0.0:49154"]},
        "0.0.0.0:49153->80/tcp, 0.0.0.0:49154->81/tcp",
    ),
    (["--expose", "80-81/tcp"], {"80/tcp": None, "81/tcp": None}, "80-81/tcp"),
]


@pytest.mark.parametrize(("options", "published", "listed"), PORTS)
async def test_published_ports(
    docker: Docker, daemon: Daemon, options: list[str], published: Any, listed: str
) -> None:
    daemon.fakes.networks.taken = {("tcp", 9000)}
    await ok(docker, "run", "-d", "--name", "box", *options, IMAGE, "hang")
    shown = (await inspected(docker, "box"))["NetworkSettings"]["Ports"]
    assert {
        port: bindings and [f"{one['HostIp']}:{one['HostPort']}" for one in bindings]
        for port, bindings in shown.items()
    } == published
    # Docker's client of Debian 12 shows IPv6 addresses without brackets.
    unbracketed = listed.replace("[", "").replace("]", "")
    assert await ok(docker, "ps", "--format", "{{.Ports}}") in (listed, unbracketed)
    await ok(docker, "stop", "box")
    assert await ok(docker, "ps", "-a", "--format", "{{.Ports}}") == ""


async def test_a_port_that_is_taken(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.networks.taken = {("tcp", 80)}
    taken = "failed: port is already allocated"
    done = complaint(await docker("run", "--name", "p1", "-p", "80:80", IMAGE, "hang"))
    assert f"Bind for 0.0.0.0:80 {taken}" in done
    assert daemon.fakes.machines.running == {}  # it was noticed before anything started
    assert attached(daemon) == ()
    await ok(docker, "run", "-d", "--name", "p2", "-p", "81:80", IMAGE, "hang")
    done = complaint(await docker("run", "--name", "p3", "-p", "127.0.0.1:81:80", IMAGE, "hang"))
    assert f":81 {taken}" in done
    await ok(docker, "run", "-d", "-p", "81:80/udp", IMAGE, "hang")
    await ok(docker, "stop", "p2")
    await ok(docker, "start", "p3")


async def test_a_filter_finds_containers_by_port(docker: Docker) -> None:
    await ok(docker, "run", "-d", "--name", "web", "-p", "8080:80", IMAGE, "hang")
    await ok(docker, "run", "-d", "--name", "dns", "-p", "53:53/udp", "--expose", "90", IMAGE, "hang")
    for texts, names in (
        (["publish=8080"], ["web"]),
        (["publish=80"], []),  # it is the host's port that counts
        (["publish=50-60/udp"], ["dns"]),
        (["publish=50-60/tcp"], []),
        (["publish=90"], []),
        (["publish=1-65535"], ["web"]),
        (["expose=80"], ["web"]),
        (["expose=80-90/tcp"], ["dns", "web"]),
        (["publish=8080", "publish=53/udp"], ["dns", "web"]),
        (["publish=8080", "expose=90"], ["dns", "web"]),  # either is enough
        (["publish=1", "expose=1"], []),
    ):
        options = [word for text in texts for word in ("--filter", text)]
        listed = await ok(docker, "ps", *options, "--format", "{{.Names}}")
        assert listed.split() == names, texts
    assert "invalid filter 'publish=http'" in complaint(await docker("ps", "--filter", "publish=http"))
    await ok(docker, "stop", "web")
    for text in ("publish=8080", "expose=80"):  # as it lists no ports any more
        assert await ok(docker, "ps", "-aq", "--filter", text) == ""


async def test_disk_use_tells_a_containers_network_as_the_list_does(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "run", "-d", "--name", "box", IMAGE, "hang")
    use = await asyncio.to_thread(daemon.client.get, "/system/df")
    listed = await asyncio.to_thread(daemon.client.get, "/containers/json")
    assert use["Containers"][0]["NetworkSettings"] == listed[0]["NetworkSettings"]
    assert listed[0]["NetworkSettings"]["Networks"]["nat"]["NetworkID"]


@pytest.mark.parametrize("name", ["nat", "bridge", "default"])
async def test_a_filter_knows_the_default_network_by_all_its_names(docker: Docker, name: str) -> None:
    await ok(docker, "run", "-d", "--name", "box", IMAGE, "hang")
    await ok(docker, "run", "-d", "--name", "lone", "--network", "none", IMAGE, "hang")
    listed = await ok(docker, "ps", "--filter", f"network={name}", "--format", "{{.Names}}")
    assert listed == "box"


async def test_port_asks_the_daemon(docker: Docker) -> None:
    await ok(docker, "run", "-d", "--name", "box", "-p", "8080:80", "-p", "53:53/udp", IMAGE, "hang")
    assert await ok(docker, "port", "box", "80") == "0.0.0.0:8080"
