"""Ports of the host: which are free, who holds the others, and in which words that is said."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.errors import Conflict
from linwin.model.network import PortBinding
from linwin.network.ports import FreePorts, HostPort
from tests.unit.network.namespaces import Namespace, setting
from tests.unit.network.world import World, attachment, network

pytestmark = pytest.mark.root


@pytest.fixture
def free(host: Namespace) -> FreePorts:
    return FreePorts()


@pytest.fixture
def taken(host: Namespace) -> Iterator[int]:
    """A TCP port that another program listens on, at every address of IPv4."""
    with socket.create_server(("0.0.0.0", 0)) as listening:
        yield listening.getsockname()[1]


def refusal(free: FreePorts, wanted: PortBinding, *published: PortBinding) -> str:
    with pytest.raises(Conflict) as refused:
        free.choose([wanted], published)
    return refused.value.message


def test_a_port_that_nobody_has_is_ours(free: FreePorts) -> None:
    wanted = [PortBinding(80, "tcp", "", 8080), PortBinding(53, "udp", "127.0.0.1", 8080)]
    assert free.choose(wanted, []) == wanted


def test_a_port_that_another_program_has_is_not(free: FreePorts, taken: int) -> None:
    assert refusal(free, PortBinding(80, "tcp", "", taken)) == (
        f"failed to bind host port 0.0.0.0:{taken}/tcp: address already in use"
    )
    assert refusal(free, PortBinding(80, "tcp", "127.0.0.1", taken)) == (
        f"failed to bind host port 127.0.0.1:{taken}/tcp: address already in use"
    )
    assert free.choose([PortBinding(80, "udp", "", taken)], [])
    assert free.choose([PortBinding(80, "tcp", "::", taken)], [])


def test_an_address_that_the_host_has_not_is_refused(free: FreePorts) -> None:
    assert refusal(free, PortBinding(80, "tcp", "192.0.2.7", 8080)) == (
        "failed to bind host port 192.0.2.7:8080/tcp: cannot assign requested address"
    )
    assert refusal(free, PortBinding(80, "tcp", "2001:db8::7", 8080)) == (
        "failed to bind host port [2001:db8::7]:8080/tcp: cannot assign requested address"
    )


@pytest.mark.parametrize(
    ("wanted", "published", "address"),
    [
        ("", "", "0.0.0.0"),
        ("", "127.0.0.1", "0.0.0.0"),
        ("", "::", "::"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0", "127.0.0.1"),
        ("::1", "", "::1"),
    ],
)
def test_a_port_that_a_container_has_is_allocated(
    free: FreePorts, wanted: str, published: str, address: str
) -> None:
    held = PortBinding(80, "tcp", published, 8080)
    assert refusal(free, PortBinding(80, "tcp", wanted, 8080), held) == (
        f"Bind for {address}:8080 failed: port is already allocated"
    )


@pytest.mark.parametrize(
    ("one", "other"), [("127.0.0.1", "127.0.0.2"), ("0.0.0.0", "::"), ("127.0.0.1", "::1")]
)
def test_addresses_that_do_not_meet_share_a_port(free: FreePorts, one: str, other: str) -> None:
    wanted = PortBinding(80, "tcp", one, 8080)
    assert free.choose([wanted], [PortBinding(80, "tcp", other, 8080)]) == [wanted]


def test_one_container_cannot_have_a_port_twice(free: FreePorts) -> None:
    twice = [PortBinding(80, "tcp", "", 8080), PortBinding(81, "tcp", "127.0.0.1", 8080)]
    with pytest.raises(Conflict) as refused:
        free.choose(twice, [])
    assert refused.value.message == "Bind for 127.0.0.1:8080 failed: port is already allocated"


def test_a_port_is_chosen_from_the_host_s_range_and_the_next_one_next_time(free: FreePorts) -> None:
    first, last = map(int, setting("net/ipv4/ip_local_port_range").split())
    chosen = [free.choose([PortBinding(80, "tcp")], [])[0].host_port for _ in range(3)]
    assert all(first <= port <= last for port in chosen)
    assert len(set(chosen)) == 3


def test_a_chosen_port_is_one_that_nobody_has(free: FreePorts, host: Namespace) -> None:
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40001 40004")
    published = PortBinding(80, "tcp", "", 40001)
    with socket.create_server(("0.0.0.0", 40002)):
        found = free.choose([PortBinding(80, "tcp"), PortBinding(81, "tcp")], [published])
        assert [one.host_port for one in found] == [40003, 40004]
        with pytest.raises(Conflict) as refused:
            free.choose([PortBinding(80, "tcp", "0.0.0.0")], [published, *found])
    assert refused.value.message == "failed to bind host port for 0.0.0.0: all ports are allocated"


async def test_the_room_knows_what_it_published(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    wanted = PortBinding(80, "tcp", "", 8080)
    await world.apply((nat,), (attachment(nat, 2, "web", ports=(wanted,)),))
    with pytest.raises(Conflict) as refused:
        await world.room.free_ports([wanted])
    assert refused.value.message == "Bind for 0.0.0.0:8080 failed: port is already allocated"
    await world.apply((nat,))
    assert await world.room.free_ports([wanted]) == [wanted]


def test_thousands_of_ports_are_not_each_compared_with_each(
    free: FreePorts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon does nothing else meanwhile."""
    compared, meets = 0, HostPort.meets

    def counting(self: HostPort, other: HostPort) -> bool:
        nonlocal compared
        compared += 1
        return meets(self, other)

    monkeypatch.setattr(HostPort, "meets", counting)
    published = [PortBinding(80, "tcp", "127.0.0.1", 20_000 + number) for number in range(1000)]
    wanted = [PortBinding(80, "udp", "127.0.0.1", 20_000 + number) for number in range(1000)]
    assert free.choose(wanted, published) == wanted
    assert compared == 0
