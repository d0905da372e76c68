"""``--network user``: QEMU's own network, where the host allows no other."""

from __future__ import annotations

import pytest

from linwin.model.network import HostNetworks
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import complaint, endpoint, ok
from tests.scenario.test_small_verbs import guest_of

USER = ("--network", "user")


async def test_a_host_without_networks_has_it(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.networks.why_not = "networks need root: linwin's daemon does not run as root"
    await ok(
        docker,
        "run",
        "-d",
        "--name",
        "box",
        *USER,
        "-p",
        "127.0.0.1:8080:80",
        "-p",
        "53:53/udp",
        IMAGE,
        "hang",
    )
    machine, guest = guest_of(daemon)
    (attachment,) = machine.user_nics.values()
    assert attachment.ipv4 == "10.0.2.16"
    ports = {(one.protocol, one.host_ip, one.host_port, one.container_port) for one in attachment.ports}
    assert ports == {("tcp", "127.0.0.1", 8080, 80), ("udp", "", 53, 53)}
    assert guest.prepared is not None
    preparation = guest.prepared
    (interface,) = preparation.interfaces
    assert (interface.addresses, interface.gateway4, interface.dns) == (
        ("10.0.2.16/24",),
        "10.0.2.2",
        ("10.0.2.3",),
    )
    assert [(host.name, host.address) for host in preparation.hosts] == [("host.linwin.internal", "10.0.2.2")]
    shown = await endpoint(docker, "box", "user")
    assert (shown["IPAddress"], shown["Gateway"]) == ("10.0.2.16", "10.0.2.2")
    assert (await ok(docker, "port", "box")).splitlines()[0] == "53/udp -> 0.0.0.0:53"
    # Each has one of its own, and the host has nothing of it.
    await ok(docker, "run", "-d", "--name", "other", *USER, IMAGE, "hang")
    assert (await endpoint(docker, "other", "user"))["IPAddress"] == "10.0.2.16"
    assert daemon.fakes.networks.applied == HostNetworks()
    assert "user" not in await ok(docker, "network", "ls")
    await ok(docker, "restart", "box")
    await ok(docker, "rm", "-f", "box", "other")


async def test_its_user_is_told_what_it_reaches(docker: Docker) -> None:
    done = await docker("create", *USER, IMAGE)
    assert b"in the network user a container reaches whatever the daemon's host reaches" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ip", "10.0.2.20"], "the network user has no addresses and names to choose"),
        (["--network-alias", "web"], "the network user has no addresses and names to choose"),
        (["-p", "[::1]:80:80"], "a port of the network user cannot be published at ::1"),
        (["--network", "nat"], "the network user is one container's own, and goes with no other network"),
    ],
)
async def test_what_it_has_nobody_to_do(docker: Docker, options: list[str], words: str) -> None:
    assert words in complaint(await docker("create", *USER, *options, IMAGE))


async def test_it_is_neither_joined_nor_left_nor_made(docker: Docker) -> None:
    await ok(docker, "network", "create", "mine")
    await ok(docker, "run", "-d", "--name", "box", *USER, IMAGE, "hang")
    alone = "the network user is one container's own, and goes with no other network"
    assert alone in complaint(await docker("network", "connect", "mine", "box"))
    assert "network user not found" in complaint(await docker("network", "connect", "user", "box"))
    assert "operation is not permitted on predefined user network" in complaint(
        await docker("network", "create", "user")
    )


async def test_mounts_are_not_reached_through_it(docker: Docker) -> None:
    refused = complaint(await docker("run", *USER, "-v", "data:C:\\data", IMAGE, "hang"))
    assert "mounts are not reached through the network user" in refused
