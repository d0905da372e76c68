"""What has to be done on the host: a pure function of what is wanted and what is there.

A plan may be cut short after any of its operations. What is left is safe (nothing reaches
further than before) and the plan made from it leads to the same end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from linwin.errors import Conflict
from linwin.model.network import USUAL_MTU, Attachment, HostNetworks, Network
from linwin.network import addresses, rules
from linwin.network.name_service import Service, service
from linwin.network.names import HostNames

IPV4_FORWARDING = "net/ipv4/ip_forward"
IPV6_FORWARDING = "net/ipv6/conf/all/forwarding"
INOTIFY_INSTANCES = "fs/inotify/max_user_instances"
"""How many programs of one user may watch files: each dnsmasq does, and the rest of root's too."""
_INSTANCES_OF_OTHERS = 64


@dataclass(frozen=True, slots=True)
class Link:
    """A link of this root's that is there. ``owner`` is a tap's, ``bridge`` the link that it is a port of.

    A tap has a ``carrier`` while a machine has it open.
    """

    kind: str
    mac: str = ""
    up: bool = False
    owner: int = 0
    bridge: str = ""
    mtu: int = USUAL_MTU
    addresses: frozenset[str] = frozenset()
    carrier: bool = False


@dataclass(frozen=True, slots=True)
class HostState:
    """What was found on the host.

    ``links`` are this root's, by name. ``settings`` are kernel settings by their path under
    ``/proc/sys``: forwarding, what this root's links have set, and others' ``accept_ra``.
    ``running`` are networks whose dnsmasq runs, ``services`` what each one's files say,
    which are there also when it does not run.
    """

    links: Mapping[str, Link] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    running: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StopService:
    """End the dnsmasq of a network and forget its leases."""

    network_id: str


@dataclass(frozen=True, slots=True)
class DeleteLink:
    name: str


@dataclass(frozen=True, slots=True)
class LoadRules:
    """One nftables transaction."""

    text: str


@dataclass(frozen=True, slots=True)
class SetSysctl:
    """Write a kernel setting, by its path under ``/proc/sys``."""

    path: str
    value: str


@dataclass(frozen=True, slots=True)
class AddBridge:
    name: str
    mac: str


@dataclass(frozen=True, slots=True)
class AddAddress:
    link: str
    address: str


@dataclass(frozen=True, slots=True)
class DeleteAddress:
    link: str
    address: str


@dataclass(frozen=True, slots=True)
class AddTap:
    name: str
    uid: int


@dataclass(frozen=True, slots=True)
class Enslave:
    """Make a tap a port of a bridge."""

    tap: str
    bridge: str


@dataclass(frozen=True, slots=True)
class SetMtu:
    """Let a tap carry packets of so many bytes. A bridge follows its ports by itself."""

    link: str
    mtu: int


@dataclass(frozen=True, slots=True)
class SetUp:
    link: str


@dataclass(frozen=True, slots=True)
class StartService:
    """Write all that the dnsmasq reads and start it, or start it anew; leases stay."""

    service: Service


@dataclass(frozen=True, slots=True)
class ReloadService:
    """Write the names and leases and have the dnsmasq read them."""

    service: Service


Operation = (
    StopService
    | DeleteLink
    | LoadRules
    | SetSysctl
    | AddBridge
    | AddAddress
    | DeleteAddress
    | AddTap
    | Enslave
    | SetMtu
    | SetUp
    | StartService
    | ReloadService
)


def plan(names: HostNames, desired: HostNetworks, state: HostState, folder: Path) -> tuple[Operation, ...]:
    """What leads from ``state`` to ``desired``; ``folder`` holds a folder for each network's dnsmasq.

    The rules (:func:`linwin.network.rules.ruleset`) are no part of it: they depend on nothing that
    was found, and their order with the rest does not matter, for they bind every link by the
    beginning of its name and let through only what they know. Raises Conflict and InvalidRequest.
    """
    wanted = _wanted_links(names, desired)
    services = {
        network.id: service(names, network, desired.attachments, folder / network.id)
        for network in desired.networks
        if not network.isolated
    }
    mtus = {network.id: network.mtu for network in desired.networks}
    kept = {name: link for name, link in state.links.items() if _can_stay(names, wanted.get(name), link)}
    return (
        *(StopService(network_id) for network_id in state.services if network_id not in services),
        *(DeleteLink(name) for name in state.links if name not in kept),
        *_forwarding(desired, state),
        *_instances(services, state),
        *(
            operation
            for network in desired.networks
            for operation in _bridge(names.bridge(network.id), names, network, kept, state)
        ),
        *(
            operation
            for one in desired.attachments
            for operation in _tap(names, one, mtus.get(one.network_id, USUAL_MTU), kept, state)
        ),
        *_served(names, services, kept, state),
    )


def removal(names: HostNames, state: HostState) -> tuple[Operation, ...]:
    """What removes all of this root's."""
    return (
        *(StopService(network_id) for network_id in sorted(state.services)),
        *(DeleteLink(name) for name in state.links),
        LoadRules(rules.removal(names)),
    )


def _wanted_links(names: HostNames, desired: HostNetworks) -> dict[str, Network | Attachment]:
    """The links that are to exist, each with what it is for."""
    wanted: dict[str, Network | Attachment] = {}
    named: list[tuple[str, Network | Attachment]] = [
        *((names.bridge(network.id), network) for network in desired.networks),
        *((names.tap(one.id), one) for one in desired.attachments),
    ]
    for name, owner in named:
        if name in wanted:  # names are short: two ids may come to share one, once in many millions
            raise Conflict(
                f"{wanted[name].id[:12]} and {owner.id[:12]} would share the link {name}",
                hint="Remove one of them and create it again: its new id gives it another link.",
            )
        wanted[name] = owner
    return wanted


def _can_stay(names: HostNames, wanted: Network | Attachment | None, link: Link) -> bool:
    """Is the link wanted, and right in all that cannot be changed while it exists?"""
    match wanted:
        case Network(id=network_id):
            return link.kind == "bridge" and link.mac == names.bridge_mac(network_id)
        case Attachment(uid=uid):
            return link.kind == "tun" and link.owner == uid
        case None:
            return False


def _served(
    names: HostNames, services: Mapping[str, Service], kept: Mapping[str, Link], state: HostState
) -> Iterator[Operation]:
    for network_id, wanted in services.items():
        found = state.services.get(network_id)
        if (
            found is None
            or network_id not in state.running
            or found.configuration != wanted.configuration
            # It listens for DHCP on the bridge that was there when it started, and on no other.
            or names.bridge(network_id) not in kept
        ):
            yield StartService(wanted)
        elif found != wanted:
            yield ReloadService(wanted)


def _forwarding(desired: HostNetworks, state: HostState) -> Iterator[Operation]:
    """Let the host pass packets on, where a network is to be left at all."""
    open_networks = [network for network in desired.networks if not network.internal]
    if open_networks:
        yield from _setting(IPV4_FORWARDING, "1", state)
    if any(network.ipv6 for network in open_networks):
        if state.settings.get(IPV6_FORWARDING) == "0":
            # A router ignores the announcements of others unless told so, and the host may live by them.
            for path, value in state.settings.items():
                if path.endswith("/accept_ra") and value == "1":
                    yield SetSysctl(path, "2")
        yield from _setting(IPV6_FORWARDING, "1", state)


def _instances(services: Mapping[str, Service], state: HostState) -> Iterator[Operation]:
    """Let a dnsmasq for each network start, and others' programs with it."""
    needed = len(services) + _INSTANCES_OF_OTHERS
    if INOTIFY_INSTANCES in state.settings and int(state.settings[INOTIFY_INSTANCES]) < needed:
        yield SetSysctl(INOTIFY_INSTANCES, str(needed))


def _bridge(
    name: str, names: HostNames, network: Network, kept: Mapping[str, Link], state: HostState
) -> Iterator[Operation]:
    mac = names.bridge_mac(network.id)
    found = kept.get(name)
    if found is None:
        yield AddBridge(name, mac)
    present = state if found else HostState()
    yield from _setting(f"net/ipv6/conf/{name}/disable_ipv6", "0" if network.ipv6 else "1", present)
    if network.ipv6:
        yield from _setting(f"net/ipv6/conf/{name}/accept_ra", "0", present)
        # Without guests a bridge has no carrier, and an address would stay tentative until it has.
        yield from _setting(f"net/ipv6/conf/{name}/accept_dad", "0", present)
    # Lets guests' packets to the file server, which is at 127.0.0.0/8, and the answers back to those on
    # the host who asked 127.0.0.1 for a published port. The rules let nothing else of it pass.
    yield from _setting(f"net/ipv4/conf/{name}/route_localnet", "1", present)
    wanted = [str(interface) for interface in addresses.gateways(network)]
    there = found.addresses if found else frozenset()
    yield from (DeleteAddress(name, address) for address in sorted(there - set(wanted)))
    yield from (AddAddress(name, address) for address in wanted if address not in there)
    if found is None or not found.up:
        yield SetUp(name)


def _tap(
    names: HostNames, attachment: Attachment, mtu: int, kept: Mapping[str, Link], state: HostState
) -> Iterator[Operation]:
    name, bridge = names.tap(attachment.id), names.bridge(attachment.network_id)
    found = kept.get(name)
    if found is None:
        yield AddTap(name, attachment.uid)
    if (found or Link("tun")).mtu != mtu:
        yield SetMtu(name, mtu)
    # The host itself has nothing to say to a guest on its tap, only on the bridge.
    yield from _setting(f"net/ipv6/conf/{name}/disable_ipv6", "1", state if found else HostState())
    if found is None or found.bridge != bridge or bridge not in kept:
        yield Enslave(name, bridge)
    if found is None or not found.up:
        yield SetUp(name)


def _setting(path: str, value: str, state: HostState) -> Iterator[Operation]:
    if state.settings.get(path) != value:
        yield SetSysctl(path, value)
