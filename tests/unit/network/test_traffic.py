"""Real packets: who reaches whom, through which door, under whose name."""

from __future__ import annotations

import pytest

from linwin.model.network import PortBinding
from tests.unit.network.namespaces import Namespace
from tests.unit.network.probes import SILENCE, answering, ask, ping
from tests.unit.network.world import World, attachment, network

NOT_REACHED = ("refused", "silence")

pytestmark = pytest.mark.root


@pytest.mark.usefixtures("bridged_packets")
async def test_two_containers_of_a_network_reach_each_other(world: World) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    web, shell = attachment(nat, 2, "web"), attachment(nat, 3, "shell")
    await world.apply((nat,), (web, shell))
    server, guest = await world.guest(web), await world.guest(shell)
    async with answering(server, "web", 80):
        assert await ask(guest, "172.20.0.2", 80) == "web 172.20.0.3"
        assert await ask(guest, "fd00:20::2", 80) == "web fd00:20::3"
        assert await ask(guest, "172.20.0.2", 80, "udp") == "web 172.20.0.3"
    assert await ping(guest, "172.20.0.2")
    assert await ping(guest, "fd00:20::2")


async def test_the_host_reaches_its_containers_and_they_ping_it(world: World) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    web = attachment(nat, 2, "web")
    await world.apply((nat,), (web,))
    guest = await world.guest(web)
    async with answering(guest, "web", 80):
        assert await ask(world.host, "172.20.0.2", 80) == "web 172.20.0.1"
        assert await ask(world.host, "fd00:20::2", 80) == "web fd00:20::1"
    assert await ping(guest, "172.20.0.1")
    assert await ping(guest, "fd00:20::1")


@pytest.mark.usefixtures("bridged_packets")
async def test_a_container_reaches_other_hosts_as_its_host(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    shell = attachment(nat, 2, "shell")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    async with answering(elsewhere, "far", 80):
        assert await ask(guest, "192.0.2.9", 80) == "far 192.0.2.1"
        assert await ask(guest, "2001:db8::9", 80) == "far 2001:db8::1"
        assert await ask(guest, "192.0.2.9", 80, "udp") == "far 192.0.2.1"


async def test_other_hosts_reach_no_container_that_they_have_a_route_to(
    world: World, elsewhere: Namespace
) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    web = attachment(nat, 2, "web", ports=(PortBinding(80, "tcp", "", 8080),))
    await world.apply((nat,), (web,))
    guest = await world.guest(web)
    elsewhere.run("ip route add 172.20.0.0/16 via 192.0.2.1")
    elsewhere.run("ip -6 route add fd00:20::/64 via 2001:db8::1")
    async with answering(guest, "web", 80):
        assert await ask(elsewhere, "172.20.0.2", 80, patience=SILENCE) == "silence"
        assert await ask(elsewhere, "fd00:20::2", 80, patience=SILENCE) == "silence"
        assert await ask(elsewhere, "192.0.2.1", 8080) == "web 192.0.2.9"


async def test_from_an_internal_network_nothing_is_reached_but_its_containers(
    world: World, elsewhere: Namespace
) -> None:
    closed = network("closed", "172.21.0.0/16", "fd00:21::/64", internal=True)
    nat = network("nat", "172.20.0.0/16")
    web = attachment(nat, 2, "web", ports=(PortBinding(80, "tcp", "", 8080),))
    one, two = attachment(closed, 2, "one"), attachment(closed, 3, "two")
    await world.apply((closed, nat), (web, one, two))
    guest, neighbour, server = [await world.guest(each) for each in (one, two, web)]
    guest.run("ip route add default via 172.21.0.1")
    guest.run("ip -6 route add default via fd00:21::1")
    async with (
        answering(elsewhere, "far", 80),
        answering(neighbour, "two", 80),
        answering(server, "web", 80),
    ):
        assert await ask(guest, "172.21.0.3", 80) == "two 172.21.0.2"
        assert await ask(guest, "fd00:21::3", 80) == "two fd00:21::2"
        for address, port in (
            ("192.0.2.9", 80),
            ("2001:db8::9", 80),
            ("172.20.0.2", 80),
            ("172.21.0.1", 8080),
        ):
            assert await ask(guest, address, port, patience=SILENCE) in NOT_REACHED
        assert await ask(server, "172.21.0.3", 80, patience=SILENCE) == "refused"


@pytest.mark.usefixtures("bridged_packets")
async def test_networks_do_not_reach_each_other(world: World) -> None:
    red, blue = (
        network("red", "172.20.0.0/16", "fd00:20::/64"),
        network("blue", "172.21.0.0/16", "fd00:21::/64"),
    )
    one, two = attachment(red, 2, "one"), attachment(blue, 2, "two")
    await world.apply((red, blue), (one, two))
    guest, other = await world.guest(one), await world.guest(two)
    async with answering(other, "two", 80):
        assert await ask(guest, "172.21.0.2", 80) == "refused"
        assert await ask(guest, "fd00:21::2", 80) == "refused"
        assert await ask(guest, "172.21.0.2", 80, "udp", patience=SILENCE) in NOT_REACHED
    assert not await ping(guest, "172.21.0.2", patience=SILENCE)
    assert not await ping(guest, "172.21.0.1", patience=SILENCE)


async def test_a_container_reaches_no_service_of_the_host(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    shell = attachment(nat, 2, "shell")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    async with answering(world.host, "host", 22):
        assert await ask(world.host, "127.0.0.1", 22) == "host 127.0.0.1"
        for address in ("172.20.0.1", "fd00:20::1", "192.0.2.1", "2001:db8::1"):
            assert await ask(guest, address, 22) == "refused"
            assert await ask(guest, address, 22, "udp", patience=SILENCE) in NOT_REACHED


FIREWALL = """
table ip filter {
    chain DOCKER-USER {
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        jump DOCKER-USER
    }
}
"""


async def test_a_firewall_that_drops_everything_is_told_of_with_its_remedy(
    world: World, elsewhere: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    world.host.run("nft -f -", FIREWALL)
    nat = network("nat", "172.20.0.0/16")
    shell = attachment(nat, 2, "shell")
    await world.apply((nat,), (shell,))
    await world.apply((nat,), (shell,))
    assert [line for line in caplog.messages if "iptables" in line] == [
        "iptables on this host drop what is forwarded, and so what containers send; "
        "let them through with: iptables -I DOCKER-USER -i 'lwb+' -j ACCEPT; "
        "iptables -I DOCKER-USER -o 'lwb+' -j ACCEPT"
    ]
    guest = await world.guest(shell)
    async with answering(elsewhere, "far", 80):
        assert await ask(guest, "192.0.2.9", 80, patience=SILENCE) == "silence"
        for direction in ("iifname", "oifname"):
            world.host.run(f"nft insert rule ip filter DOCKER-USER {direction} lwb* accept")
        assert await ask(guest, "192.0.2.9", 80) == "far 192.0.2.1"
    world.host.run("nft delete table ip filter")


async def test_a_firewall_that_knows_linwin_is_not_told_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.host.run("nft -f -", FIREWALL.replace("DOCKER-USER {", 'DOCKER-USER {\n iifname "lwb*" accept'))
    await world.apply((network("nat", "172.20.0.0/16"),))
    assert [line for line in caplog.messages if "iptables" in line] == []
    world.host.run("nft delete table ip filter")
