"""Published ports, asked from everywhere."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from pathlib import Path

import pytest

from linwin.model.network import PortBinding
from linwin.network.relay import UdpRelay
from tests.unit.network.namespaces import Namespace
from tests.unit.network.probes import PATIENCE, SILENCE, answering, ask
from tests.unit.network.world import World, attachment, network

pytestmark = pytest.mark.root

NOT_REACHED = ("refused", "silence")


@pytest.mark.usefixtures("bridged_packets")
async def test_a_port_is_reached_from_everywhere(world: World, elsewhere: Namespace) -> None:
    red = network("red", "172.20.0.0/16", "fd00:20::/64")
    blue = network("blue", "172.21.0.0/16", "fd00:21::/64")
    ports = (PortBinding(80, "tcp", "", 8080), PortBinding(80, "udp", "", 8080))
    web, other, far = attachment(red, 2, "web", ports=ports), attachment(red, 3), attachment(blue, 2)
    await world.apply((red, blue), (web, other, far))
    server, neighbour, stranger = [await world.guest(each) for each in (web, other, far)]
    async with answering(server, "web", 80):
        for protocol in ("tcp", "udp"):
            assert await ask(elsewhere, "192.0.2.1", 8080, protocol) == "web 192.0.2.9"
            assert await ask(elsewhere, "2001:db8::1", 8080, protocol) == "web 2001:db8::9"
            assert await ask(world.host, "127.0.0.1", 8080, protocol) == "web 172.20.0.1"
            assert (await ask(world.host, "192.0.2.1", 8080, protocol)).startswith("web ")
            assert (await ask(world.host, "2001:db8::1", 8080, protocol)).startswith("web ")
            assert (await ask(world.host, "::1", 8080, protocol)).startswith("web ")
            for guest in (neighbour, stranger):
                for address in ("172.20.0.1", "172.21.0.1", "192.0.2.1", "fd00:20::1", "2001:db8::1"):
                    assert (await ask(guest, address, 8080, protocol)).startswith("web "), address
            for address in ("172.20.0.1", "fd00:20::1"):
                assert (await ask(server, address, 8080, protocol)).startswith("web "), address


async def test_a_port_at_one_address_is_reached_at_no_other(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    ports = (
        PortBinding(80, "tcp", "192.0.2.1", 8080),
        PortBinding(80, "tcp", "127.0.0.1", 8081),
        PortBinding(80, "tcp", "2001:db8::1", 8082),
    )
    web, shell = attachment(nat, 2, "web", ports=ports), attachment(nat, 3)
    await world.apply((nat,), (web, shell))
    server, guest = await world.guest(web), await world.guest(shell)
    async with answering(server, "web", 80):
        assert await ask(elsewhere, "192.0.2.1", 8080) == "web 192.0.2.9"
        assert await ask(world.host, "127.0.0.1", 8080) in NOT_REACHED
        assert await ask(world.host, "127.0.0.1", 8081) == "web 172.20.0.1"
        assert await ask(elsewhere, "192.0.2.1", 8081) in NOT_REACHED
        assert await ask(elsewhere, "2001:db8::1", 8082) == "web 2001:db8::9"
        assert await ask(elsewhere, "192.0.2.1", 8082) in NOT_REACHED
        # The way round: a packet for 127.0.0.1 that a guest or another host sends to this one.
        for other, nic, gateway in ((guest, "eth0", "172.20.0.1"), (elsewhere, "wan0", "192.0.2.1")):
            other.run("ip addr del 127.0.0.1/8 dev lo")
            other.run(f"ip route add 127.0.0.0/8 via {gateway}")
            _allow_loopback_on(other, nic)
            assert await ask(other, "127.0.0.1", 8081, patience=SILENCE) in NOT_REACHED


def _allow_loopback_on(where: Namespace, nic: str) -> None:
    where.do(lambda: Path(f"/proc/sys/net/ipv4/conf/{nic}/route_localnet").write_text("1"))


async def test_ipv6_reaches_a_container_without_it(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16")
    ports = (PortBinding(80, "tcp", "", 8080), PortBinding(80, "udp", "", 8080))
    web = attachment(nat, 2, "web", ports=ports)
    await world.apply((nat,), (web,))
    server = await world.guest(web)
    async with answering(server, "web", 80):
        for protocol in ("tcp", "udp"):
            assert await ask(world.host, "::1", 8080, protocol) == "web 172.20.0.1"
            assert await ask(elsewhere, "2001:db8::1", 8080, protocol) == "web 172.20.0.1"


async def test_what_is_relayed_arrives_whole_in_both_directions(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    web = attachment(nat, 2, "web", ports=(PortBinding(80, "tcp", "", 8080),))
    await world.apply((nat,), (web,))
    server = await world.guest(web)
    sent = os.urandom(3 << 20)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())  # which ends when the client has said all
        await writer.drain()
        writer.close()

    listening = server.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("172.20.0.2", 80))
    serving = await asyncio.start_server(echo, sock=listening)
    reader, writer = await asyncio.open_connection("::1", 8080)
    writer.write(sent)
    writer.write_eof()
    assert await reader.read() == sent
    writer.close()
    serving.close()


async def test_a_udp_client_that_fell_silent_is_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linwin.network.relay._UDP_IDLE", 0.2)
    held = world.host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    held.bind(("::1", 5353))
    async with answering(world.host, "host", 53, "127.0.0.1"):
        relay = await UdpRelay.open(held, "127.0.0.1", 53, lambda: True)
        assert await ask(world.host, "::1", 5353, "udp") == "host 127.0.0.1"
        assert relay.relays == 1
        later = asyncio.Event()
        asyncio.get_running_loop().call_later(1, later.set)  # a timer of the same loop, after the relay's
        await later.wait()
        assert relay.relays == 0
    await relay.close()


async def test_a_guest_cannot_take_all_files_of_the_daemon(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linwin.network.published._MOST_RELAYS", 2)
    nat = network("nat", "172.20.0.0/16")
    web = attachment(nat, 2, "web", ports=(PortBinding(80, "tcp", "", 8080),))
    await world.apply((nat,), (web,))
    server = await world.guest(web)
    with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("172.20.0.2", 80))
        listening.listen()
        first = [await asyncio.open_connection("::1", 8080) for _ in range(2)]
        reader, writer = await asyncio.open_connection("::1", 8080)
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        for _, each in (*first, (reader, writer)):
            each.close()


async def test_a_port_is_not_reached_once_its_container_is_gone(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16")
    web = attachment(
        nat, 2, "web", ports=(PortBinding(80, "tcp", "", 8080), PortBinding(80, "udp", "", 8080))
    )
    await world.apply((nat,), (web,))
    server = await world.guest(web)
    async with answering(server, "web", 80):
        assert await ask(elsewhere, "192.0.2.1", 8080) == "web 192.0.2.9"
        await world.apply((nat,))
        for protocol in ("tcp", "udp"):
            assert await ask(elsewhere, "192.0.2.1", 8080, protocol, patience=SILENCE) in NOT_REACHED
        assert await ask(world.host, "::1", 8080) == "refused"


async def test_a_client_that_goes_on_sending_meets_the_next_container(
    world: World, elsewhere: Namespace
) -> None:
    """The kernel remembers where a UDP client's packets went, and must not send them into the void."""
    nat = network("nat", "172.20.0.0/16")
    ports = (PortBinding(53, "udp", "", 5353),)
    first, second = attachment(nat, 2, "first", ports=ports), attachment(nat, 3, "second", ports=ports)
    await world.apply((nat,), (first,))
    one = await world.guest(first)
    with elsewhere.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("192.0.2.1", 5353))
        async with answering(one, "first", 53):
            assert await _once_more(client) == "first 192.0.2.9"
        await world.apply((nat,), (second,))
        two = await world.guest(second)
        async with answering(two, "second", 53):
            assert await _once_more(client) == "second 192.0.2.9"


async def test_flows_that_pass_by_are_left_alone(world: World, elsewhere: Namespace) -> None:
    """A container that asks another host at the port that is published here goes on as it was."""
    nat = network("nat", "172.20.0.0/16")
    shell = attachment(nat, 2)
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    async with answering(elsewhere, "far", 53):
        with guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("192.0.2.9", 53))
            assert await _once_more(client) == "far 192.0.2.1"
            before = world.host.run("cat /proc/net/nf_conntrack")
            assert "dport=53 " in before
            await world.add(attachment(nat, 3, "dns", ports=(PortBinding(53, "udp", "", 53),)))
            assert "dport=53 " in world.host.run("cat /proc/net/nf_conntrack")


async def test_no_other_program_gets_a_published_port(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    ports = (PortBinding(80, "tcp", "", 8080), PortBinding(80, "udp", "127.0.0.1", 8081))
    await world.apply((nat,), (attachment(nat, 2, "web", ports=ports),))
    for family, kind, address, port in (
        (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0", 8080),
        (socket.AF_INET6, socket.SOCK_STREAM, "::", 8080),
        (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1", 8081),
    ):
        with world.host.socket(family, kind) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            with pytest.raises(OSError, match="Address already in use"):
                _serve(taken, address, port)


def _serve(taken: socket.socket, address: str, port: int) -> None:
    taken.bind((address, port))
    if taken.type == socket.SOCK_STREAM:
        taken.listen()


async def _once_more(client: socket.socket) -> str:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, b"?")
    try:
        async with asyncio.timeout(2):
            return (await loop.sock_recv(client, 1024)).decode()
    except (TimeoutError, OSError):
        return "silence"


async def test_ports_leave_files_for_the_daemon_to_work_with(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    nat = network("nat", "172.20.0.0/16")
    ports = tuple(PortBinding(80, "tcp", "", 20_000 + number) for number in range(300))
    web, shell = attachment(nat, 2, "web", ports=ports), attachment(nat, 3)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    try:
        await world.apply((nat,), (web,))
        await world.add(shell)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert caplog.text.count("as many as this daemon's limit of open files allows") == 1
    await world.guest(shell)
