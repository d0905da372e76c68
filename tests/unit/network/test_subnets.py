"""Which ranges networks get, and which they cannot have."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from pathlib import Path

import pytest

from linwin.errors import Conflict, InvalidRequest, Unavailable
from linwin.model.network import Subnet
from linwin.network import BridgeNetworks, subnets
from linwin.network.reserved import ReservedRanges
from linwin.paths import Paths
from tests.unit.network.namespaces import Namespace
from tests.unit.network.world import World, network


def taken(*texts: str) -> list[Subnet]:
    return [Subnet(text, text.partition("/")[0]) for text in texts]


def test_pools_are_docker_s_in_order() -> None:
    found: list[Subnet] = []
    for _ in range(17):
        found.append(subnets.free(found, [], ipv6=False, tag="0123abcd"))
    assert found[0] == Subnet("172.17.0.0/16", "172.17.0.1")
    assert [one.subnet for one in found[13:]] == [
        "172.30.0.0/16",
        "172.31.0.0/16",
        "10.0.0.0/20",
        "10.0.16.0/20",
    ]


def test_what_overlaps_is_passed_over_whatever_its_size() -> None:
    used = [ip_network("172.16.0.0/12"), ip_network("10.0.0.128/25")]
    found = subnets.free(taken("10.0.32.0/19", "fd00::/8"), used, ipv6=False, tag="0123abcd")
    assert found == Subnet("10.0.16.0/20", "10.0.16.1")


def test_a_host_that_uses_every_private_range_says_so() -> None:
    used = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    with pytest.raises(Unavailable) as refused:
        subnets.free([], used, ipv6=False, tag="0123abcd")
    assert str(refused.value) == (
        "could not find an available, non-overlapping IPv4 address pool among the defaults "
        "to assign to the network\n"
        "Choose one with --subnet, or remove networks that nothing uses: linwin network prune."
    )


def test_ipv6_ranges_are_unique_local_and_the_root_s_own() -> None:
    first = subnets.free([], [], ipv6=True, tag="0123abcd")
    second = subnets.free([first], [], ipv6=True, tag="0123abcd")
    other = subnets.free([], [], ipv6=True, tag="89abcdef")
    ranges = [ip_network(one.subnet) for one in (first, second, other)]
    assert all(one.prefixlen == 64 and one.subnet_of(ip_network("fd00::/8")) for one in ranges)  # type: ignore[arg-type]
    assert len(set(ranges)) == 3
    assert first == subnets.free([], [], ipv6=True, tag="0123abcd")
    assert first.gateway == str(ranges[0][1])


@pytest.mark.root
async def test_the_host_s_own_addresses_and_routes_are_passed_over(host: Namespace, root: Path) -> None:
    room = BridgeNetworks(Paths(root, root / "socket"))
    host.run("ip link add eth0 type bridge")
    host.run("ip link set eth0 up")
    host.run("ip addr add 172.17.3.4/24 dev eth0")
    host.run("ip route add 172.18.0.0/15 via 172.17.3.1")
    host.run("ip route add default via 172.17.3.1")
    host.run("ip route add blackhole 172.20.0.0/16")
    assert (await room.free_subnet([], ipv6=False)).subnet in ("172.20.0.0/16", "172.21.0.0/16")
    for subnet, used in (("172.17.3.0/28", "172.17.3.0/24"), ("172.16.0.0/12", "172.17.3.0/24")):
        with pytest.raises(Conflict) as refused:
            await room.check_subnet(Subnet(subnet, "172.17.3.9"))
        assert str(refused.value) == (
            "invalid pool request: Pool overlaps with other one on this address space\n"
            f"This host uses {used} on eth0; choose another --subnet."
        )
    await room.check_subnet(Subnet("172.17.4.0/24", "172.17.4.1"))
    await room.check_subnet(Subnet("fd00::/64", "fd00::1"))
    await room.close()


@pytest.mark.root
async def test_a_root_s_own_bridges_are_the_engine_s_to_compare(world: World) -> None:
    await world.apply((network("nat", "172.17.0.0/16"),))
    await world.room.check_subnet(Subnet("172.17.0.0/24", "172.17.0.1"))
    assert (await world.room.free_subnet([], ipv6=False)).subnet == "172.18.0.0/16"


@pytest.mark.root
async def test_daemons_that_choose_at_once_choose_different_ranges(world: World, root: Path) -> None:
    other = BridgeNetworks(Paths(root / "other", root / "other-socket"))
    chosen = await asyncio.gather(*(room.free_subnet([], ipv6=False) for room in (world.room, other)))
    assert {one.subnet for one in chosen} == {"172.17.0.0/16", "172.18.0.0/16"}
    mine, others = chosen
    assert await world.room.free_subnet([], ipv6=False) == mine, "what came to nothing is chosen again"
    await world.apply((network("nat", mine.subnet),))
    assert await other.free_subnet([mine], ipv6=False) == others
    assert (await world.room.free_subnet([mine], ipv6=False)).subnet == "172.19.0.0/16"
    await other.close()
    assert await world.room.free_subnet([mine], ipv6=False) == others


@pytest.mark.root
async def test_a_range_that_became_another_s_meanwhile_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other daemon makes its bridge, and gives the range free, between our look and our reservation."""
    take = ReservedRanges.take

    def late(reserved: ReservedRanges, subnet: Subnet) -> bool:
        if subnet.subnet == "172.17.0.0/16":
            world.host.run("ip link add other type bridge")
            world.host.run("ip addr add 172.17.0.1/16 dev other")
        return take(reserved, subnet)

    monkeypatch.setattr(ReservedRanges, "take", late)
    assert (await world.room.free_subnet([], ipv6=False)).subnet == "172.18.0.0/16"
    monkeypatch.undo()
    other = ReservedRanges()
    assert other.take(Subnet("172.17.0.0/16", "172.17.0.1")), "it is not kept from others for nothing"
    assert not other.take(Subnet("172.18.0.0/16", "172.18.0.1"))
    other.close()


@pytest.mark.root
async def test_a_range_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await world.room.check_subnet(Subnet("172.17.0.0/99", "172.17.0.1"))
    assert refused.value.message == "invalid subnet 172.17.0.0/99"
