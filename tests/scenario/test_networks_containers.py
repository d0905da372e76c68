"""Containers in networks: addresses, several NICs, and changes while they run."""

from __future__ import annotations

import asyncio

import pytest

from linwin.engine.attach import nic_id
from linwin.model.network import HostName, PortBinding
from tests.scenario.harness import IMAGE, Daemon, Docker
from tests.scenario.networking import attached, complaint, endpoint, inspected, ok
from tests.scenario.test_events import past
from tests.scenario.test_small_verbs import guest_of

# Addresses


async def test_addresses_are_the_lowest_free_ones_and_static_ones_wait(
    docker: Docker, daemon: Daemon
) -> None:
    await ok(
        docker, "network", "create", "--subnet", "10.5.0.0/29", "--ipv6", "--subnet", "fd05::/64", "mine"
    )
    static = ["--ip", "10.5.0.3", "--ip6", "fd05:0::7", "--mac-address", "02:42:aa:bb:cc:dd"]
    await ok(docker, "create", "--name", "fixed", "--network", "mine", *static, IMAGE, "hang")
    for name in ("c1", "c2"):
        await ok(docker, "run", "-d", "--name", name, "--network", "mine", IMAGE, "hang")
    assert [one.ipv4 for one in attached(daemon)] == ["10.5.0.4", "10.5.0.2"]  # newest first
    assert [one.ipv6 for one in attached(daemon)] == ["fd05::3", "fd05::2"]
    for _ in range(2):
        await ok(docker, "restart", "fixed")
        shown = await endpoint(docker, "fixed", "mine")
        assert (shown["IPAddress"], shown["GlobalIPv6Address"]) == ("10.5.0.3", "fd05::7")
        assert shown["MacAddress"] == "02:42:aa:bb:cc:dd"
    await ok(docker, "rm", "-f", "c1")
    await ok(docker, "run", "-d", "--name", "c3", "--network", "mine", IMAGE, "hang")
    assert (await endpoint(docker, "c3", "mine"))["IPAddress"] == "10.5.0.2"
    for name in ("c4", "c5"):
        await ok(docker, "run", "-d", "--name", name, "--network", "mine", IMAGE, "hang")
    full = complaint(await docker("run", "--name", "c6", "--network", "mine", IMAGE, "hang"))
    assert "no available IPv4 addresses on this network's address pools: mine" in full
    twin = complaint(await docker("run", "--network", "mine", "--ip", "10.5.0.3", IMAGE, "hang"))
    assert "Address already in use" in twin


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ip", "10.6.0.1"], "no configured subnet or ip-range contain the IP address 10.6.0.1"),
        (["--mac-address", "03:42:ac:11:00:02"], "invalid MAC address: 03:42:ac:11:00:02"),
        (["--network", "name=nat,ip=10.0.0.900"], "invalid IPv4 address: 10.0.0.900"),
    ],
)
async def test_endpoints_that_cannot_be(docker: Docker, options: list[str], words: str) -> None:
    await ok(docker, "network", "create", "--subnet", "10.5.0.0/24", "mine")
    network = [] if "--network" in options else ["--network", "mine"]
    assert words in complaint(await docker("create", *network, *options, IMAGE))


async def test_many_starts_at_once_share_nothing(docker: Docker, daemon: Daemon) -> None:
    starts = [docker("run", "-d", "-P", "--expose", "80", IMAGE, "hang") for _ in range(6)]
    assert [done.code for done in await asyncio.gather(*starts)] == [0] * 6
    assert len({one.ipv4 for one in attached(daemon)}) == 6
    assert len({port.host_port for one in attached(daemon) for port in one.ports}) == 6


# Several networks, and changes while it runs


async def test_several_networks(docker: Docker, daemon: Daemon) -> None:
    for name in ("back", "front"):
        await ok(docker, "network", "create", *(["--internal"] if name == "back" else []), name)
    both = ["--network", "front", "--network", "name=back,alias=store"]
    await ok(docker, "run", "-d", "--name", "box", "-p", "8080:80", *both, IMAGE, "hang")
    back, front = attached(daemon)
    assert (back.names[:2], back.ports) == (("box", "store"), ())
    assert front.ports == (PortBinding(80, "tcp", "", 8080),)  # the other is internal
    (machine,) = daemon.fakes.machines.running.values()
    assert len(machine.nics) == 2
    interfaces = daemon.fakes.guests.last_guest.interfaces
    assert (interfaces[back.mac].gateway4, interfaces[front.mac].gateway4) == ("", "10.2.0.1")


async def test_connect_and_disconnect_while_it_runs(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "network", "create", "mine")
    await ok(docker, "run", "-d", "--name", "box", "-p", "80:80", IMAGE, "hang")
    machine, guest = guest_of(daemon)
    await ok(docker, "network", "connect", "--alias", "db", "--ip", "10.1.0.9", "mine", "box")
    nat, mine = attached(daemon)
    assert (mine.ipv4, mine.names[:2], mine.ports) == ("10.1.0.9", ("box", "db"), ())
    assert set(machine.nics.values()) == set(guest.interfaces) == {nat.mac, mine.mac}
    assert guest.interfaces[mine.mac].gateway4 == ""
    twice = complaint(await docker("network", "connect", "mine", "box"))
    assert "endpoint with name box already exists in network mine" in twice
    # The way out, and the ports with it, goes to what is left.
    await ok(docker, "network", "disconnect", "nat", "box")
    (only,) = attached(daemon)
    assert (only.id, only.ports) == (mine.id, (PortBinding(80, "tcp", "", 80),))
    assert machine.nics == {nic_id(mine): mine.mac}
    assert list(guest.interfaces) == [mine.mac]
    assert guest.interfaces[mine.mac].gateway4 == "10.1.0.1"
    await ok(docker, "restart", "box")
    assert [one.ipv4 for one in attached(daemon)] == ["10.1.0.9"]
    again = complaint(await docker("network", "disconnect", "nat", "box"))
    assert "is not connected to network nat" in again


async def test_connect_at_rest_counts_from_the_next_start(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "network", "create", "mine")
    await ok(docker, "create", "--name", "box", IMAGE, "hang")
    await ok(docker, "network", "connect", "mine", "box")
    await ok(docker, "network", "disconnect", "nat", "box")
    assert attached(daemon) == ()
    await ok(docker, "start", "box")
    shown = (await inspected(docker, "box"))["NetworkSettings"]["Networks"]
    assert list(shown) == ["mine"]
    await ok(docker, "network", "disconnect", "mine", "box")
    assert attached(daemon) == ()


async def test_a_guest_has_so_many_ports(docker: Docker) -> None:
    for name in ("a", "b", "c", "d"):
        await ok(docker, "network", "create", name)
    await ok(docker, "run", "-d", "--name", "box", "--network", "a", "--network", "b", IMAGE, "hang")
    await ok(docker, "network", "connect", "c", "box")
    await ok(docker, "network", "connect", "d", "box")
    done = await docker("network", "connect", "nat", "box")
    assert "a container can be in 4 networks at most" in complaint(done)


async def test_a_renamed_container_is_found_by_its_new_name(docker: Docker, daemon: Daemon) -> None:
    await ok(docker, "run", "-d", "--name", "box", IMAGE, "hang")
    await ok(docker, "rename", "box", "crate")
    assert attached(daemon)[0].names[0] == "crate"


async def test_connections_are_events(docker: Docker) -> None:
    await ok(docker, "network", "create", "mine")
    await ok(docker, "run", "-d", "--name", "box", "--network", "mine", IMAGE, "hang")
    await ok(docker, "rm", "-f", "box")
    await ok(docker, "network", "rm", "mine")
    await ok(docker, "network", "prune", "-f")
    form = '{{.Action}} {{index .Actor.Attributes "name"}} {{index .Actor.Attributes "type"}}'
    told = await past(docker, "--filter", "type=network", form=form)
    happened = ["create mine nat", "connect mine nat", "disconnect mine nat", "destroy mine nat"]
    assert told[:4] == happened
    assert told[4].startswith("prune ")


# What a guest cannot do


async def test_a_start_that_fails_gives_everything_back(docker: Docker, daemon: Daemon) -> None:
    daemon.fakes.machines.broken = "no machine today"
    done = await docker("run", "--name", "box", "-p", "80:80", IMAGE, "hang")
    assert "no machine today" in complaint(done)
    assert attached(daemon) == ()
    assert (await daemon.engine.inspect("box")).attachments == ()
    daemon.fakes.machines.broken = None
    await ok(docker, "start", "box")
    assert attached(daemon)[0].ports == (PortBinding(80, "tcp", "", 80),)


async def test_names_of_the_containers_own(docker: Docker, daemon: Daemon) -> None:
    hosts = ["--add-host", "db:10.0.0.7", "--add-host", "v6:fd00::7", "--add-host", "up:host-gateway"]
    await ok(docker, "run", "-d", "--name", "box", *hosts, IMAGE, "hang")
    prepared = guest_of(daemon)[1].prepared
    assert prepared is not None
    assert prepared.hosts == (
        HostName("db", "10.0.0.7"),
        HostName("v6", "fd00::7"),
        HostName("up", "10.1.0.1"),
    )
    echoed = (await inspected(docker, "box"))["HostConfig"]["ExtraHosts"]
    assert echoed == ["db:10.0.0.7", "v6:fd00::7", "up:host-gateway"]


@pytest.mark.parametrize("network", ["none", "shut"])
async def test_a_container_that_cannot_reach_the_host_has_no_name_for_it(
    docker: Docker, daemon: Daemon, network: str
) -> None:
    if network == "shut":
        await ok(docker, "network", "create", "--internal", network)
    words = ["--add-host", "up:host-gateway", "--network", network, IMAGE, "hang"]
    refused = complaint(await docker("run", "--rm", *words))
    assert "unable to derive the IP value for host-gateway" in refused
    assert daemon.fakes.machines.booting.is_set() is False
    assert await daemon.nothing_left()


async def test_dns_servers_of_the_users_choice(docker: Docker, daemon: Daemon) -> None:
    choice = ["--dns", "10.0.0.53", "--dns-search", "example.com"]
    await ok(docker, "run", "-d", "--name", "box", *choice, IMAGE, "hang")
    (interface,) = daemon.fakes.guests.last_guest.interfaces.values()
    assert (interface.dns, interface.search) == (("10.0.0.53",), ("example.com",))
    await ok(docker, "run", "-d", "--name", "plain", IMAGE, "hang")
    (interface,) = daemon.fakes.guests.last_guest.interfaces.values()
    assert (interface.dns, interface.gateway4, interface.addresses) == (
        ("10.1.0.1",), "10.1.0.1", ("10.1.0.3/24",),
    )  # fmt: skip


async def test_a_filter_finds_containers_by_network(docker: Docker) -> None:
    await ok(docker, "network", "create", "mine")
    await ok(docker, "run", "-d", "--name", "one", "--network", "mine", IMAGE, "hang")
    await ok(docker, "run", "-d", "--name", "two", IMAGE, "hang")
    for network, name in (("mine", "one"), ("nat", "two")):
        assert await ok(docker, "ps", "--filter", f"network={network}", "--format", "{{.Names}}") == name
