"""DNS and DHCP over the wire, asked from inside containers."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

import dns.message
import dns.rcode
import dns.reversename
import dns.rrset
import pytest

from linwin.model.network import HOST_NAME, Network
from linwin.network.names import HostNames
from tests.unit.network.namespaces import Guest, Namespace
from tests.unit.network.probes import PATIENCE, SILENCE, ask
from tests.unit.network.world import World, attachment, changed, network

pytestmark = pytest.mark.root


async def look_up(where: Namespace, server: str, name: str, kind: str = "A") -> list[str]:
    """The answers to one question, sorted; or what went wrong, in DNS's word for it."""
    question = dns.message.make_query(name, kind)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    loop = asyncio.get_running_loop()
    with where.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((server, 53))
        await loop.sock_sendall(asking, question.to_wire())
        async with asyncio.timeout(PATIENCE):
            answer = dns.message.from_wire(await loop.sock_recv(asking, 4096))
    if answer.rcode() != dns.rcode.NOERROR:
        return [dns.rcode.to_text(answer.rcode())]
    return sorted(str(record) for found in answer.answer for record in found)


def host_resolver() -> str:
    """The first IPv4 name server of the host's resolv.conf."""
    lines = map(str.split, Path("/etc/resolv.conf").read_text().splitlines())
    return next(words[1] for words in lines if words[:1] == ["nameserver"] and "." in words[1])


@asynccontextmanager
async def resolver(host: Namespace, elsewhere: Namespace) -> AsyncIterator[None]:
    """Be what the host's resolv.conf names, on its loopback or elsewhere; every name is 203.0.113.7."""
    address = host_resolver()
    where = host if address.startswith("127.") else elsewhere
    if where is elsewhere:
        elsewhere.run(f"ip addr add {address}/32 dev lo")
        host.run(f"ip route add {address}/32 via 192.0.2.9")

    class Answers(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
            answer = dns.message.make_response(dns.message.from_wire(data))
            answer.answer.append(dns.rrset.from_text(answer.question[0].name, 0, "IN", "A", "203.0.113.7"))
            transport.sendto(answer.to_wire(), peer)

    listening = where.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind((address, 53))
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Answers, sock=listening)
    try:
        yield
    finally:
        transport.close()


async def until_known(where: Namespace, server: str, name: str, expected: list[str]) -> None:
    """Ask until the answer is so: dnsmasq reads again when its signal is delivered."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(ConnectionRefusedError, TimeoutError):  # one that is being started again
                if await asyncio.wait_for(look_up(where, server, name), 0.5) == expected:
                    return


async def test_containers_are_known_by_every_name_in_their_network_alone(world: World) -> None:
    red = network("red", "172.20.0.0/16", "fd00:20::/64")
    blue = network("blue", "172.21.0.0/16")
    web = attachment(red, 2, "web", "0123456789ab", "shop", "my_app")
    peer, stranger = attachment(red, 3, "peer", "shop"), attachment(blue, 2, "stranger")
    await world.apply((red, blue), (web, peer, stranger))
    guest, other = await world.guest(peer), await world.guest(stranger)
    for server in ("172.20.0.1", "fd00:20::1"):
        for name in ("web", "WEB", "web.linwin.internal", "0123456789ab", "my_app"):
            assert await look_up(guest, server, name) == ["172.20.0.2"]
            assert await look_up(guest, server, name, "AAAA") == ["fd00:20::2"]
        assert await look_up(guest, server, "shop") == ["172.20.0.2", "172.20.0.3"]
        assert await look_up(guest, server, HOST_NAME) == ["172.20.0.1"]
        assert await look_up(guest, server, HOST_NAME, "AAAA") == ["fd00:20::1"]
    for address, answer in (
        ("172.20.0.2", ["web.linwin.internal."]),
        ("fd00:20::2", ["web.linwin.internal."]),
        ("172.20.0.9", ["NXDOMAIN"]),
        ("fd00:20::9", ["NXDOMAIN"]),
    ):
        reverse = str(dns.reversename.from_address(address))
        assert await look_up(guest, "172.20.0.1", reverse, "PTR") == answer
    assert await look_up(other, "172.21.0.1", "web") == ["NXDOMAIN"]
    assert await look_up(other, "172.21.0.1", "stranger", "AAAA") == []
    assert await ask(other, "172.20.0.1", 53, "udp", patience=SILENCE) in ("refused", "silence")


async def test_names_come_at_a_start_and_go_at_a_stop(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    shell, web = attachment(nat, 2, "shell"), attachment(nat, 3, "web")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    assert await look_up(guest, "172.20.0.1", "web") == ["NXDOMAIN"]
    served_by = pid(world, nat.id)
    await world.apply((nat,), (shell, web))
    await until_known(guest, "172.20.0.1", "web", ["172.20.0.3"])
    await world.apply((nat,), (shell,))
    await until_known(guest, "172.20.0.1", "web", ["NXDOMAIN"])
    assert pid(world, nat.id) == served_by


async def test_nobody_outside_is_answered(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    await world.apply((nat,), (attachment(nat, 2, "web"),))
    elsewhere.run("ip route add 172.20.0.0/16 via 192.0.2.1")
    assert await ask(elsewhere, "192.0.2.1", 53) == "refused"
    assert await ask(world.host, "127.0.0.1", 53) == "refused"
    # The host is asked for one of its addresses on another of its links.
    assert await ask(elsewhere, "172.20.0.1", 53, "udp", patience=SILENCE) in ("refused", "silence")


async def test_other_names_are_those_of_the_host_s_resolver(world: World, elsewhere: Namespace) -> None:
    nat = network("nat", "172.20.0.0/16")
    shell = attachment(nat, 2, "shell")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    async with resolver(world.host, elsewhere):
        assert await look_up(guest, "172.20.0.1", "www.example.com") == ["203.0.113.7"]
        assert await look_up(guest, "172.20.0.1", "unknown") == ["NXDOMAIN"]


async def test_an_internal_network_asks_nobody_outside(world: World) -> None:
    closed = network("closed", "172.20.0.0/16", internal=True)
    shell = attachment(closed, 2, "shell")
    await world.apply((closed,), (shell,))
    guest = await world.guest(shell)
    assert await look_up(guest, "172.20.0.1", "shell") == ["172.20.0.2"]
    assert await look_up(guest, "172.20.0.1", "secret.of.mine.example.com") == ["REFUSED"]


async def test_a_lease_is_the_address_that_was_chosen(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    closed = network("closed", "172.21.0.0/16", internal=True)
    web, quiet = attachment(nat, 2, "web"), attachment(closed, 2, "quiet")
    await world.apply((nat, closed), (web, quiet))
    lease = await ask_for_lease(await world.unconfigured_guest(web), web.mac)
    assert (lease.address, lease.router, lease.mask) == ("172.20.0.2", "172.20.0.1", "255.255.0.0")
    assert (lease.server, lease.dns) == ("172.20.0.1", "172.20.0.1")
    lease = await ask_for_lease(await world.unconfigured_guest(quiet), quiet.mac)
    assert (lease.address, lease.router, lease.dns) == ("172.21.0.2", "", "172.21.0.1")


async def test_an_address_whose_last_holder_is_gone_is_leased_to_the_next(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    first, second, other = (
        attachment(nat, 2, "first"),
        attachment(nat, 2, "second"),
        attachment(nat, 3, "other"),
    )
    await world.apply((nat,), (first, other))
    for one in (first, other):
        await ask_for_lease(await world.unconfigured_guest(one), one.mac)
    await world.apply((nat,), (other,))
    await world.apply((nat,), (second, other))
    lease = await ask_for_lease(await world.unconfigured_guest(second), second.mac)
    assert lease.address == "172.20.0.2"
    leases = (folder(world, nat.id) / "leases").read_text()
    assert other.mac in leases
    assert first.mac not in leases


async def test_a_guest_gives_itself_no_name_by_dhcp(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    web = attachment(nat, 2, "web")
    await world.apply((nat,), (web,))
    guest = await world.unconfigured_guest(web)
    await ask_for_lease(guest, web.mac, called="bank")
    guest.configure("172.20.0.2/16")
    assert await look_up(guest, "172.20.0.1", "bank") == ["NXDOMAIN"]
    assert await look_up(guest, "172.20.0.1", "web") == ["172.20.0.2"]


async def test_the_next_daemon_goes_on_with_the_name_servers_of_the_last(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    web, shell = attachment(nat, 2, "web"), attachment(nat, 3, "shell")
    await world.apply((nat,), (web, shell))
    guest = await world.guest(shell)
    await ask_for_lease(await world.unconfigured_guest(web), web.mac)
    served_by = pid(world, nat.id)
    await world.next_daemon()
    renamed = changed(web, names=("shop",))
    await world.apply((nat,), (renamed, shell))
    assert pid(world, nat.id) == served_by
    await until_known(guest, "172.20.0.1", "shop", ["172.20.0.2"])
    assert await look_up(guest, "172.20.0.1", "web") == ["NXDOMAIN"]
    assert "172.20.0.2" in (folder(world, nat.id) / "leases").read_text()


async def test_what_a_daemon_wrote_and_told_nobody_is_told_by_the_next(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    web, shell = attachment(nat, 2, "web"), attachment(nat, 3, "shell")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    hosts = folder(world, nat.id) / "hosts"
    hosts.write_text(hosts.read_text() + "172.20.0.2 web\n")
    await world.next_daemon()
    await world.apply((nat,), (web, shell))
    await until_known(guest, "172.20.0.1", "web", ["172.20.0.2"])


@pytest.mark.parametrize("lost", ["process", "pid file", "folder", "leases"])
async def test_a_name_server_that_lost_something_serves_again(world: World, lost: str) -> None:
    nat = network("nat", "172.20.0.0/16")
    shell = attachment(nat, 3, "shell")
    await world.apply((nat,), (shell,))
    guest = await world.guest(shell)
    match lost:
        case "process":
            end(pid(world, nat.id))
        case "pid file":
            (folder(world, nat.id) / "pid").unlink()
        case "leases":
            (folder(world, nat.id) / "leases").unlink()
        case "folder":
            for each in folder(world, nat.id).iterdir():
                each.unlink()
            folder(world, nat.id).rmdir()
    await world.add(attachment(nat, 2, "web"))
    await until_known(guest, "172.20.0.1", "web", ["172.20.0.2"])
    assert len(dnsmasqs(world)) == 1


async def test_name_servers_that_are_killed_are_started_again_by_themselves(world: World) -> None:
    nat, own = network("nat", "172.20.0.0/16"), network("own", "172.21.0.0/16")
    web, shell = attachment(nat, 2, "web"), attachment(nat, 3, "shell")
    await world.apply((nat, own), (web, shell))
    guest = await world.guest(shell)
    for _ in range(3):
        before = {pid(world, one.id) for one in (nat, own)}
        for process in before:
            end(process)
        await until_known(guest, "172.20.0.1", "web", ["172.20.0.2"])
        async with asyncio.timeout(PATIENCE):
            # One is started after the other.
            while len(await asyncio.to_thread(_written, world, nat, own) - before) < 2:
                continue
    assert (await ask_for_lease(await world.unconfigured_guest(web), web.mac)).address == "172.20.0.2"


async def test_a_network_whose_bridge_was_lost_serves_again(world: World) -> None:
    nat = network("nat", "172.20.0.0/16", "fd00:20::/64")
    web, shell = attachment(nat, 2, "web"), attachment(nat, 3, "shell")
    await world.apply((nat,), (web,))
    world.host.run(f"ip link del {HostNames(world.paths.tag, world.paths.file_server).bridge(nat.id)}")
    await world.add(shell)
    guest = await world.guest(shell)
    assert await look_up(guest, "172.20.0.1", "web") == ["172.20.0.2"]
    assert await look_up(guest, "fd00:20::1", "web") == ["172.20.0.2"]
    lease = await ask_for_lease(await world.unconfigured_guest(web), web.mac)
    assert lease.address == "172.20.0.2"


async def test_a_name_server_whose_folder_is_gone_is_found_and_ended(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    await world.apply((nat,), ())
    for each in folder(world, nat.id).iterdir():
        each.unlink()
    folder(world, nat.id).rmdir()
    await world.next_daemon()
    await world.apply(())
    assert dnsmasqs(world) == []


async def test_a_pid_file_that_names_another_process_harms_nobody(world: World) -> None:
    nat = network("nat", "172.20.0.0/16")
    await world.apply((nat,), (attachment(nat, 2, "web"),))
    (folder(world, nat.id) / "pid").write_text(f"{os.getpid()}\n")
    await world.apply((nat,), (attachment(nat, 2, "shop"),))
    assert len(dnsmasqs(world)) == 1
    assert pid(world, nat.id) in dnsmasqs(world)


class Lease:
    """What a DHCP server offered and confirmed (RFC 2131, RFC 2132)."""

    def __init__(self, packet: bytes) -> None:
        self.address = str(IPv4Address(packet[16:20]))
        options = dict(_options(packet[240:]))
        self.kind = options[53][0]
        self.mask = _address(options, 1)
        self.router = _address(options, 3)
        self.dns = _address(options, 6)
        self.server = _address(options, 54)


def _options(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while data[at] != 255:
        length = data[at + 1]
        found.append((data[at], data[at + 2 : at + 2 + length]))
        at += 2 + length
    return found


def _address(options: dict[int, bytes], code: int) -> str:
    return str(IPv4Address(options[code][:4])) if code in options else ""


async def ask_for_lease(guest: Guest, mac: str, *, called: str = "") -> Lease:
    """Discover, offer, request, acknowledge, as a client does that has no address yet."""
    loop = asyncio.get_running_loop()
    with guest.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
        asking.bind(("0.0.0.0", 68))

        async def exchange(*options: bytes) -> Lease:
            header = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x1234, 0, 0x8000) + bytes(16)
            packet = header + bytes.fromhex(mac.replace(":", "")) + bytes(10 + 192)
            name = bytes([12, len(called)]) + called.encode() if called else b""
            packet += b"\x63\x82\x53\x63" + b"".join(options) + name + bytes([55, 3, 1, 3, 6, 255])
            await loop.sock_sendto(asking, packet, ("255.255.255.255", 67))
            async with asyncio.timeout(PATIENCE):
                return Lease(await loop.sock_recv(asking, 2048))

        offer = await exchange(bytes([53, 1, 1]))
        assert offer.kind == 2
        wanted = bytes([50, 4]) + IPv4Address(offer.address).packed
        server = bytes([54, 4]) + IPv4Address(offer.server).packed
        confirmed = await exchange(bytes([53, 1, 3]), wanted, server)
        assert confirmed.kind == 5
        return confirmed


def folder(world: World, network_id: str) -> Path:
    return world.paths.networks / network_id


def end(process: int) -> None:
    """Kill it, and wait until it has let go of its sockets."""
    watched = os.pidfd_open(process)
    os.kill(process, signal.SIGKILL)
    select.select([watched], [], [])
    os.close(watched)


def pid(world: World, network_id: str) -> int:
    return int((folder(world, network_id) / "pid").read_text())


def _written(world: World, *networks: Network) -> set[int]:
    """The pids of their name servers, as far as they have written them down."""
    files = (folder(world, one.id) / "pid" for one in networks)
    return {int(text) for file in files if file.exists() and (text := file.read_text().strip())}


def dnsmasqs(world: World) -> list[int]:
    """The name servers of this root that run."""
    mark = f"--conf-file={world.paths.networks}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and mark in _command(entry):
            found.append(int(entry.name))
    return found


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
