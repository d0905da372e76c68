"""What is done on the host: once, again, after a crash, beside others, and undone."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.daemon import purge_network
from linwin.errors import Conflict, Unavailable
from linwin.model.network import HostNetworks, PortBinding
from linwin.network import BridgeNetworks
from linwin.network.apply import Host, load_rules
from linwin.network.names import HostNames
from linwin.network.plan import HostState, plan
from linwin.network.rules import ruleset
from linwin.paths import Paths
from tests.unit.network.namespaces import Namespace, setting
from tests.unit.network.probes import answering, ask
from tests.unit.network.world import World, attachment, changed, network

pytestmark = pytest.mark.root

NAT = network("nat", "172.20.0.0/16", "fd00:20::/64")
CLOSED = network("closed", "172.21.0.0/16", internal=True)
WEB = attachment(NAT, 2, "web", ports=(PortBinding(80, "tcp", "", 8080),))
SHELL = attachment(NAT, 3, "shell")
STORE = attachment(CLOSED, 2, "store")
ALL = HostNetworks((NAT, CLOSED), (WEB, SHELL, STORE))


def names(world: World) -> HostNames:
    return HostNames(world.paths.tag, world.paths.file_server)


async def is_so(world: World) -> None:
    """All that was asked for is there, by what a plan would still do, and it works."""
    host = Host(names(world), world.paths.networks)
    left = plan(names(world), world.desired, await host.observe(), world.paths.networks)
    # An observer of its own does not know what name servers were told; links and settings it sees.
    assert {type(each).__name__ for each in left} == {"ReloadService"}
    rules = world.host.run("nft list ruleset")
    assert f"table inet linwin_{world.paths.tag}" in rules
    assert all(one.mac.lower() in rules for one in world.desired.attachments)


async def works(world: World) -> None:
    server, guest = await world.guest(WEB), await world.guest(SHELL)
    async with answering(server, "web", 80):
        assert await ask(guest, "172.20.0.2", 80) == "web 172.20.0.3"
        assert await ask(world.host, "127.0.0.1", 8080) == "web 172.20.0.1"


async def test_links_carry_packets_as_large_as_their_network_says(world: World) -> None:
    jumbo = replace(NAT, options={"com.docker.network.driver.mtu": "9000"})
    await world.apply((jumbo,), (WEB, SHELL))
    for name in (names(world).bridge(NAT.id), names(world).tap(WEB.id), names(world).tap(SHELL.id)):
        assert "mtu 9000 " in world.host.run(f"ip link show {name}")
    await is_so(world)


async def test_links_are_as_they_are_wanted(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    bridge, tap = names(world).bridge(NAT.id), names(world).tap(WEB.id)
    shown = world.host.run(f"ip -d addr show {bridge}")
    for wanted in (
        names(world).bridge_mac(NAT.id),
        "inet 172.20.0.1/16",
        "inet6 fd00:20::1/64",
        "forward_delay 0",
        "stp_state 0",
        "mcast_snooping 0",
        "promiscuity 0",
    ):
        assert wanted in shown
    shown = world.host.run(f"ip -d link show {tap}")
    for wanted in (f"user {WEB.uid}", f"master {bridge}", "persist on", "vnet_hdr on", "UP"):
        assert wanted in shown
    assert "mtu 1500 " in shown
    assert setting(f"net/ipv6/conf/{tap}/disable_ipv6") == "1"
    assert setting("net/ipv4/ip_forward") == setting("net/ipv6/conf/all/forwarding") == "1"
    for name, mode in ((".", 0o711), ("dnsmasq.conf", 0o644), ("hosts", 0o644)):
        assert stat.S_IMODE((world.paths.networks / NAT.id / name).stat().st_mode) == mode


async def test_a_host_that_begins_to_forward_says_so_and_still_hears_its_router(
    world: World, elsewhere: Namespace, caplog: pytest.LogCaptureFixture
) -> None:
    assert setting("net/ipv6/conf/wan0/accept_ra") == "1"
    await world.apply((NAT,))
    assert setting("net/ipv6/conf/wan0/accept_ra") == "2"
    said = "turned on {}: networks of containers need this host to forward"
    assert caplog.messages == [
        said.format("net/ipv4/ip_forward"),
        said.format("net/ipv6/conf/all/forwarding"),
    ]
    await world.apply((NAT, CLOSED))
    assert len(caplog.messages) == 2


async def test_a_tap_is_open_once(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    first = await world.room.open_tap(WEB)
    try:
        assert not os.get_inheritable(first)
        with pytest.raises(Unavailable) as refused:
            await world.room.open_tap(WEB)
        assert refused.value.message == (
            f"cannot open the tap {names(world).tap(WEB.id)}: Device or resource busy"
        )
    finally:
        os.close(first)
    os.close(await world.room.open_tap(WEB))


async def test_opening_a_tap_that_was_not_applied_makes_none(world: World) -> None:
    await world.apply((NAT,), ())
    with pytest.raises(Unavailable) as refused:
        await world.room.open_tap(WEB)
    assert refused.value.message == f"there is no tap {names(world).tap(WEB.id)}"
    assert names(world).tap(WEB.id) not in world.host.run("ip -br link")


async def test_a_tap_of_nobody_goes_with_its_last_file_and_stays_once_it_is_somebodys(world: World) -> None:
    tap, unused = await world.room.spare_tap(), await world.room.spare_tap()
    machine = os.dup(tap)
    try:
        assert not os.get_inheritable(tap)
        assert world.host.run("ip -br link").count("lws") == 2
        await world.apply(ALL.networks)
        assert world.host.run("ip -br link").count("lws") == 2  # nobody's, so nothing that is left over
        os.close(unused)
        await world.room.name_tap(tap, WEB)
        os.close(tap)
        assert "lws" not in world.host.run("ip -br link")
        await world.apply(ALL.networks, ALL.attachments)
        with pytest.raises(Unavailable, match=r"Device or resource busy$"):
            await world.room.open_tap(WEB)  # it is still the machine's
    finally:
        os.close(machine)
    os.close(await world.room.open_tap(WEB))
    await is_so(world)


async def test_a_tap_that_was_made_meanwhile_is_in_nobodys_way(world: World) -> None:
    """As by another container's start, after this one's addresses were recorded."""
    tap = await world.room.spare_tap()
    try:
        await world.apply(ALL.networks, ALL.attachments)
        await world.room.name_tap(tap, WEB)
        await world.apply(ALL.networks, ALL.attachments)
        with pytest.raises(Unavailable, match=r"Device or resource busy$"):
            await world.room.open_tap(WEB)
        await is_so(world)
    finally:
        os.close(tap)


async def test_a_tap_is_named_also_where_its_caller_has_gone(world: World) -> None:
    """By its own file: the number of the one that was given may be another's by then."""
    tap = await world.room.spare_tap()
    machine = os.dup(tap)
    try:
        async with world.room._turns.lock:
            naming = asyncio.create_task(world.room.name_tap(tap, WEB))
            await asyncio.sleep(0)
            naming.cancel()
            await asyncio.gather(naming, return_exceptions=True)
            os.close(tap)
            other = await world.room.spare_tap()
        assert other == tap
        await world.apply(ALL.networks, ALL.attachments)
        shown = world.host.run("ip -br link")
        assert shown.count("lws") == 1
        with pytest.raises(Unavailable, match=r"Device or resource busy$"):
            await world.room.open_tap(WEB)
        os.close(other)
    finally:
        os.close(machine)


async def test_a_host_without_taps_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.network.taps.DEVICE", str(world.paths.root / "tun"))
    with pytest.raises(Unavailable, match=r"^cannot set up networks: .*No such file or directory"):
        await world.room.spare_tap()


async def test_doing_it_again_changes_nothing(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    before = world.host.run("ip -d -o addr"), world.host.run("nft list ruleset")
    await world.apply(ALL.networks, ALL.attachments)
    assert (world.host.run("ip -d -o addr"), world.host.run("nft list ruleset")) == before


async def test_what_was_broken_by_hand_is_repaired(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    bridge, tap = names(world).bridge(NAT.id), names(world).tap(WEB.id)
    for damage in (
        f"ip link del {bridge}",
        f"ip link del {tap}",
        f"ip link set {bridge} down",
        f"ip link set {tap} nomaster",
        f"ip link set {tap} down",
        f"ip addr flush dev {bridge}",
        f"ip addr add 10.9.9.9/24 dev {bridge}",
        f"ip link set {bridge} address 02:00:00:00:00:01",
        "nft flush ruleset",
        f"nft delete table bridge linwin_{world.paths.tag}",
        f"nft flush table inet linwin_{world.paths.tag}",
        f"sysctl -q net.ipv4.conf.{bridge}.route_localnet=0",
        f"sysctl -q net.ipv6.conf.{bridge}.disable_ipv6=1",
        "sysctl -q net.ipv4.ip_forward=0",
    ):
        world.host.run(damage)
        await world.apply(ALL.networks, ALL.attachments)
        await is_so(world)
    await works(world)


async def test_every_half_way_leads_to_the_end(world: World) -> None:
    """A daemon dies after each operation in turn; the next one is asked for the same, or for nothing."""
    whole = plan(names(world), ALL, HostState(), world.paths.networks)
    for done in range(len(whole)):
        await Host(names(world), world.paths.networks).carry_out(whole[:done])
        if done % 3:  # the rules go on at the same time
            await load_rules(ruleset(names(world), ALL))
        await world.next_daemon()
        if done % 2:
            await world.apply(ALL.networks, ALL.attachments)
            await is_so(world)
        await world.room.purge()
        assert "lw" not in world.host.run("ip -br link")


async def test_every_half_way_back_leads_to_the_end(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    host = Host(names(world), world.paths.networks)
    back = plan(names(world), HostNetworks(), await host.observe(), world.paths.networks)
    for done in range(1, len(back)):
        await Host(names(world), world.paths.networks).carry_out(back[:done])
        await world.apply(ALL.networks, ALL.attachments)
        await is_so(world)
    await works(world)


async def test_others_rules_and_links_stay(world: World) -> None:
    world.host.run("ip link add br0 type bridge")
    world.host.run("nft add table inet theirs")
    world.host.run("nft add chain inet theirs forward { type filter hook forward priority 0 ; }")
    before = world.host.run("nft list ruleset")
    await world.apply(ALL.networks, ALL.attachments)
    await world.apply((), ())
    await world.room.purge()
    assert world.host.run("nft list ruleset") == before
    assert "br0" in world.host.run("ip -br link")
    world.host.run("nft delete table inet theirs")


async def test_two_roots_do_not_meet(world: World, tmp_path: Path) -> None:
    other = world.paths.root / "other"
    other.mkdir(mode=0o711)
    neighbour = World(world.host, Paths(other, other / "socket"))
    ports = (PortBinding(80, "tcp", "", 8081),)
    theirs = replace(NAT, id="9" * 64, subnets=network("x", "172.30.0.0/16").subnets, ipv6=False)
    guest = attachment(theirs, 2, "theirs", ports=ports)
    await world.apply(ALL.networks, ALL.attachments)
    await neighbour.apply((theirs,), (guest,))
    server = await neighbour.guest(guest)
    await works(world)
    async with answering(server, "theirs", 80):
        assert await ask(world.host, "127.0.0.1", 8081) == "theirs 172.30.0.1"
        await world.room.purge()
        assert await ask(world.host, "127.0.0.1", 8081) == "theirs 172.30.0.1"
    await neighbour.close()


async def test_changes_that_meet_take_turns(world: World) -> None:
    wishes = [
        HostNetworks((NAT,), (WEB,)),
        HostNetworks((NAT, CLOSED), (WEB, STORE)),
        HostNetworks(),
        HostNetworks((NAT,), (replace(WEB, uid=WEB.uid + 7), SHELL)),
        ALL,
    ]
    world.desired = ALL
    await asyncio.gather(*(world.room.apply(wish) for wish in wishes))
    await is_so(world)


async def test_a_change_whose_caller_gives_up_is_finished(world: World) -> None:
    change = asyncio.create_task(world.room.apply(ALL))
    await asyncio.sleep(0)
    change.cancel()
    with pytest.raises(asyncio.CancelledError):
        await change
    world.desired = ALL
    await world.room.apply(ALL)
    await is_so(world)


async def test_a_container_that_changes_its_network_reaches_the_new_one_alone(world: World) -> None:
    blue = network("blue", "172.22.0.0/16")
    peer = attachment(blue, 3, "peer")
    moved = changed(SHELL, network_id=blue.id, ipv4="172.22.0.2", ipv6="")
    await world.apply((NAT, blue), (WEB, SHELL, peer))
    await world.apply((NAT, blue), (WEB, moved, peer))
    server, guest = await world.guest(peer), await world.guest(moved)
    async with answering(server, "peer", 80):
        assert await ask(guest, "172.22.0.3", 80) == "peer 172.22.0.2"
    await is_so(world)


async def test_a_second_thought_about_an_address_is_carried_out(world: World) -> None:
    await world.apply((NAT,), ())
    wider = replace(NAT, subnets=network("x", "172.20.0.0/15", "fd00:21::/64").subnets)
    await world.apply((wider,), ())
    shown = world.host.run(f"ip addr show {names(world).bridge(NAT.id)}")
    assert "172.20.0.1/15" in shown
    assert "fd00:21::1/64" in shown
    assert "fd00:20::1/64" not in shown


async def test_a_network_whose_gateway_another_name_server_holds_says_so(world: World) -> None:
    with world.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 53))
        with pytest.raises(Unavailable) as refused:
            await world.apply((CLOSED,), ())
    assert str(refused.value) == (
        "dnsmasq failed with exit code 2: "
        "dnsmasq: failed to create listening socket for 172.21.0.1: Address already in use\n"
        "If another DNS server listens at every address of this host, "
        "have it listen at the addresses that it serves."
    )
    await world.apply((CLOSED,), ())
    await is_so(world)


async def test_a_host_that_can_is_asked_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await world.room.unavailable() == ""
    monkeypatch.setattr("linwin.network.taps.DEVICE", str(world.paths.root / "tun"))
    assert await world.room.unavailable() == ""
    assert await BridgeNetworks(world.paths).unavailable() != ""


@pytest.mark.parametrize("missing", ["nft", "dnsmasq"])
async def test_a_host_without_a_program_cannot_and_says_so(
    host: Namespace, root: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    def find(name: str, env: object = None) -> str:
        if name == missing:
            raise Unavailable(f"the program {name} is not installed", hint="install it")
        return f"/usr/sbin/{name}"

    for module in ("process", "programs"):  # who runs a program, and who only looks for one
        monkeypatch.setattr(f"linwin.host.{module}.find_program", find)
    why = await BridgeNetworks(Paths(root, root / "socket")).unavailable()
    assert why == f"this host cannot have networks: the program {missing} is not installed (install it)"


async def test_a_host_without_the_tun_device_cannot_and_says_so(
    host: Namespace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linwin.network.taps.DEVICE", str(root / "tun"))
    why = await BridgeNetworks(Paths(root, root / "socket")).unavailable()
    assert why == f"this host has no {root}/tun; load it with: modprobe tun"


async def test_who_is_not_root_cannot_and_is_told(
    host: Namespace, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(text: str, *, only_check: bool = False) -> None:
        raise Unavailable("nft failed with exit code 1: Operation not permitted")

    monkeypatch.setattr("linwin.network.bridges.load_rules", refuse)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    why = await BridgeNetworks(Paths(root, root / "socket")).unavailable()
    assert why == "networks need root: linwin's daemon does not run as root"


async def test_networks_are_not_taken_from_guests_that_a_killed_daemon_left(world: World) -> None:
    await world.apply(ALL.networks, ALL.attachments)
    await world.guest(WEB)
    with pytest.raises(Conflict, match="are running, and would lose their networks for good"):
        await purge_network(world.paths)
    await world.room.close()  # its daemon was killed, and starts nothing again
    assert names(world).tap(WEB.id) in world.host.run("ip -br link")
    world.leave()
    await purge_network(world.paths)
    assert "lw" not in world.host.run("ip -br link")
