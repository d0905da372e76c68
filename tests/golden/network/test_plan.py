"""Plans, rules and dnsmasq's files, pinned: a change shows up as a diff of the golden files.

To accept one: ``LINWIN_GOLDEN=write pytest tests/golden/network``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import Conflict, InvalidRequest
from linwin.model.network import Attachment, HostNetworks, Network, PortBinding, Subnet
from linwin.network.names import HostNames
from linwin.network.plan import (
    AddBridge,
    AddTap,
    DeleteLink,
    Enslave,
    HostState,
    Link,
    LoadRules,
    Operation,
    ReloadService,
    SetMtu,
    SetSysctl,
    StartService,
    StopService,
    plan,
    removal,
)
from linwin.network.rules import ruleset

HERE = Path(__file__).parent
NAMES = HostNames("0123abcd", ("127.1.35.171", 44510))
FOLDER = Path("/var/lib/linwin/networks")

NAT = Network(
    id="1" * 64,
    name="nat",
    created_at=0,
    subnets=(Subnet("172.20.0.0/16", "172.20.0.1"), Subnet("fd12:3456:789a:1::/64", "fd12:3456:789a:1::1")),
    ipv6=True,
)
BACKEND = Network(
    id="2" * 64, name="backend", created_at=0, subnets=(Subnet("10.1.2.0/24", "10.1.2.254"),), internal=True
)
WEB = Attachment(
    id="a" * 64,
    network_id=NAT.id,
    container_id="c" * 64,
    mac="02:42:AC:14:00:02",
    ipv4="172.20.0.2",
    ipv6="fd12:3456:789a:1::2",
    names=("web", "cccccccccccc", "www.shop", "not a name", "x\n9.9.9.9 bank"),
    ports=(
        PortBinding(80, "tcp", "", 8080),
        PortBinding(443, "tcp", "127.0.0.1", 8443),
        PortBinding(53, "udp", "::", 5353),
    ),
    uid=1_000_000_001,
)
STORE = Attachment(
    id="b" * 64,
    network_id=BACKEND.id,
    container_id="d" * 64,
    mac="02:42:0a:01:02:02",
    ipv4="10.1.2.2",
    names=("store", "db"),
    ports=(PortBinding(5432, "tcp", "", 5432),),
    uid=1_000_000_002,
)
BOTH = HostNetworks((NAT, BACKEND), (WEB, STORE))


def carried_out(desired: HostNetworks, operations: tuple[Operation, ...]) -> HostState:
    """The host on which a plan for all of ``desired`` was carried out."""
    links = {
        NAMES.bridge(one.id): Link(
            "bridge",
            NAMES.bridge_mac(one.id),
            up=True,
            addresses=frozenset(f"{s.gateway}/{s.subnet.partition('/')[2]}" for s in one.subnets),
        )
        for one in desired.networks
    }
    links |= {
        NAMES.tap(one.id): Link("tun", up=True, owner=one.uid, bridge=NAMES.bridge(one.network_id))
        for one in desired.attachments
    }
    services = {
        each.service.network_id: each.service
        for each in operations
        if isinstance(each, StartService | ReloadService)
    }
    return HostState(
        links=links,
        settings={each.path: each.value for each in operations if isinstance(each, SetSysctl)},
        services=services,
        running=frozenset(services),
    )


def from_nothing(desired: HostNetworks) -> HostState:
    return carried_out(desired, plan(NAMES, desired, HostState(), FOLDER))


def golden(name: str, text: str) -> None:
    path = HERE / name
    if os.environ.get("LINWIN_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


def test_the_plan_from_nothing_is_the_golden_one() -> None:
    operations = plan(NAMES, BOTH, HostState(settings={"net/ipv4/ip_forward": "0"}), FOLDER)
    lines = []
    for each in operations:
        match each:
            case StartService(service):
                name = "nat" if service.network_id == NAT.id else "backend"
                golden(f"{name}.dnsmasq", service.configuration)
                golden(f"{name}.hosts", service.hosts)
                golden(f"{name}.dhcp", service.reservations)
                lines.append(f"StartService({name})")
            case _:
                lines.append(str(each))
    golden("plan.txt", "".join(f"{line}\n" for line in lines))


def test_the_rules_are_the_golden_ones() -> None:
    golden("rules.nft", ruleset(NAMES, BOTH))


def test_the_plan_for_what_is_there_is_empty() -> None:
    assert plan(NAMES, BOTH, from_nothing(BOTH), FOLDER) == ()


def test_one_more_container_costs_a_tap_and_a_reload() -> None:
    before = from_nothing(HostNetworks((NAT, BACKEND), (STORE,)))
    done = list(plan(NAMES, BOTH, before, FOLDER))
    tap = NAMES.tap(WEB.id)
    assert done[:3] == [
        AddTap(tap, WEB.uid),
        SetSysctl(f"net/ipv6/conf/{tap}/disable_ipv6", "1"),
        Enslave(tap, NAMES.bridge(NAT.id)),
    ]
    assert [type(each).__name__ for each in done[3:]] == ["SetUp", "ReloadService"]


def test_what_is_not_wanted_goes() -> None:
    operations = plan(NAMES, HostNetworks(), from_nothing(BOTH), FOLDER)
    assert set(operations) == {
        StopService(NAT.id),
        StopService(BACKEND.id),
        *(DeleteLink(name(one)) for name, one in ((NAMES.bridge, NAT.id), (NAMES.bridge, BACKEND.id))),
        *(DeleteLink(NAMES.tap(one.id)) for one in (WEB, STORE)),
    }


def test_a_bridge_that_is_not_as_it_was_made_is_made_again_with_its_ports() -> None:
    there = from_nothing(BOTH)
    bridge = NAMES.bridge(NAT.id)
    spoilt = replace(
        there, links={**there.links, bridge: replace(there.links[bridge], mac="02:00:00:00:00:01")}
    )
    done = list(plan(NAMES, BOTH, spoilt, FOLDER))
    assert done[:2] == [DeleteLink(bridge), AddBridge(bridge, NAMES.bridge_mac(NAT.id))]
    assert done[-2] == Enslave(NAMES.tap(WEB.id), bridge)
    assert isinstance(done[-1], StartService)


def test_a_tap_of_another_user_is_made_again() -> None:
    changed = replace(BOTH, attachments=(replace(WEB, uid=1_000_000_009), STORE))
    done = list(plan(NAMES, changed, from_nothing(BOTH), FOLDER))
    tap = NAMES.tap(WEB.id)
    assert done[:2] == [DeleteLink(tap), AddTap(tap, 1_000_000_009)]


def test_a_tap_carries_what_its_network_does() -> None:
    """Also one that a daemon made and died before it said so."""
    jumbo = replace(NAT, options={"com.docker.network.driver.mtu": "9000"})
    wanted = replace(BOTH, networks=(jumbo, BACKEND))
    tap = NAMES.tap(WEB.id)
    done = list(plan(NAMES, wanted, HostState(), FOLDER))
    assert [each for each in done if isinstance(each, SetMtu)] == [SetMtu(tap, 9000)]
    assert done.index(AddTap(tap, WEB.uid)) < done.index(SetMtu(tap, 9000))
    there = from_nothing(BOTH)
    assert plan(NAMES, wanted, there, FOLDER) == (SetMtu(tap, 9000),)
    large = {**there.links, tap: replace(there.links[tap], mtu=9000)}
    assert plan(NAMES, wanted, replace(there, links=large), FOLDER) == ()


def test_every_cut_short_plan_leads_to_the_same_end() -> None:
    """Links come one by one; whichever are there, the rest is planned and nothing else."""
    whole = from_nothing(BOTH)
    for missing in whole.links:
        links = {name: link for name, link in whole.links.items() if name != missing}
        done = list(plan(NAMES, BOTH, replace(whole, links=links), FOLDER))
        assert {type(each) for each in done} & {AddBridge, AddTap}
        assert not any(isinstance(each, DeleteLink | StopService) for each in done)


def test_a_host_that_lives_by_router_announcements_goes_on_hearing_them() -> None:
    settings = {
        "net/ipv6/conf/all/forwarding": "0",
        "net/ipv6/conf/eth0/accept_ra": "1",
        "net/ipv6/conf/eth1/accept_ra": "0",
    }
    done = plan(NAMES, HostNetworks((NAT,)), HostState(settings=settings), FOLDER)
    hears, forwards = (
        SetSysctl("net/ipv6/conf/eth0/accept_ra", "2"),
        SetSysctl("net/ipv6/conf/all/forwarding", "1"),
    )
    assert done.index(hears) < done.index(forwards)
    assert not any(isinstance(each, SetSysctl) and "eth1" in each.path for each in done)


def test_internal_networks_alone_let_the_host_forward_nothing() -> None:
    done = plan(NAMES, HostNetworks((BACKEND,)), HostState(), FOLDER)
    assert not any(isinstance(each, SetSysctl) and "forward" in each.path for each in done)


def test_names_are_short_enough_and_their_root_s_own() -> None:
    for name in (NAMES.bridge(NAT.id), NAMES.tap(WEB.id), NAMES.bridge("f" * 64), NAMES.tap("f" * 64)):
        assert len(name) == 15
        assert NAMES.owns(name)
        assert not HostNames("89abcdef", ("127.1.1.1", 44510)).owns(name)


def test_two_ids_that_share_a_link_are_refused() -> None:
    twin = replace(WEB, id=f"{int(WEB.id, 16) - 36**7:064x}")
    with pytest.raises(Conflict) as refused:
        plan(NAMES, HostNetworks((NAT,), (WEB, twin)), HostState(), FOLDER)
    assert str(refused.value) == (
        f"{'a' * 12} and {twin.id[:12]} would share the link {NAMES.tap(WEB.id)}\n"
        "Remove one of them and create it again: its new id gives it another link."
    )


def test_all_that_is_there_is_removed_and_its_rules_last() -> None:
    operations = removal(NAMES, from_nothing(BOTH))
    assert set(operations[:-1]) == set(plan(NAMES, HostNetworks(), from_nothing(BOTH), FOLDER))
    assert operations[-1] == LoadRules(
        "table inet linwin_0123abcd {\n}\ndelete table inet linwin_0123abcd\n"
        "table bridge linwin_0123abcd {\n}\ndelete table bridge linwin_0123abcd\n"
    )


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (replace(WEB, mac="02:42"), "invalid MAC address 02:42"),
        (replace(WEB, ipv4="1.2.3.4; flush ruleset"), "invalid address 1.2.3.4; flush ruleset"),
        (replace(WEB, ipv6="fd00::2%} flush ruleset"), "invalid address fd00::2%} flush ruleset"),
        (replace(WEB, ports=(PortBinding(80, "tcp", "x", 80),)), "invalid address x"),
    ],
)
def test_nothing_unread_gets_into_the_rules(spoilt: Attachment, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        ruleset(NAMES, HostNetworks((NAT,), (spoilt,)))
    assert refused.value.message == message
