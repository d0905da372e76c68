"""Attaching containers to networks: allot, plug in, take out. What is to be is recorded first.

Two rules tell the next daemon what this one left half-way. A container at rest has no
attachments. An attachment in a network that the container's spec does not name is one that
was being made or taken away when the daemon died: it is taken away (:func:`linwin.engine.connections.mend`).
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from linwin.engine import addresses, network_names, publish, sharing
from linwin.engine.interfaces import Machine
from linwin.errors import Conflict, InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.model.container import Container, ContainerSpec
from linwin.model.machine import FIRST_MAC, FIRST_NIC, SPARE_PORTS
from linwin.model.network import (
    DEFAULT_NETWORK,
    FILES_NETWORK,
    HOST_GATEWAY,
    HOST_NAME,
    NO_NETWORK,
    USER_NETWORK,
    Attachment,
    EndpointSpec,
    HostName,
    Interface,
    Network,
)

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)

DEFAULT = (EndpointSpec(DEFAULT_NETWORK),)
NO_OTHERS = (
    "container cannot be connected to multiple networks with one of the networks in private (none) mode"
)
HINT = "Leave out -p and --network, use --network user, or see docs/networks.md for what a host needs."
USER_ALONE = "the network user is one container's own, and goes with no other network"
USER_WARNING = (
    "in the network user a container reaches whatever the daemon's host reaches, "
    "and services of the host's own at 10.0.2.2"
)


def endpoints(spec: ContainerSpec) -> tuple[EndpointSpec, ...]:
    """The networks that a container is in, running or not."""
    if spec.endpoints is not None:
        return spec.endpoints
    # Records from before there were networks have no endpoints.
    return () if has_none(spec) else DEFAULT


def has_none(spec: ContainerSpec) -> bool:
    """Whether its user wanted no network, which counts as one that goes with no other."""
    return bool(spec.host_config.get("NetworkMode") == NO_NETWORK)


# At create


async def check(engine: Engine, spec: ContainerSpec) -> tuple[tuple[EndpointSpec, ...], str]:
    """The endpoints of a new container, each under its network's name, and a warning for its user.

    As docker's, networks that do not exist yet are no error before the start. Raises
    InvalidRequest for what cannot be, Unavailable for what this host cannot give.
    """
    if has_user(spec):
        for wanted in endpoints(spec):
            addresses.check_user(wanted)
        _check_user_ports(spec)
        return endpoints(spec), USER_WARNING
    if why := await engine.rooms.network.unavailable():
        if not _undemanding(spec):
            raise Unavailable(why, hint=HINT)
        return endpoints(spec), await engine.networks.warning() if endpoints(spec) else ""
    known, found = await engine.networks.list(), list[EndpointSpec]()
    for wanted in endpoints(spec):
        try:
            network: Network | None = network_names.find(known, wanted.network)
        except NotFound:
            network = None
        addresses.check(wanted, network)
        found.append(dataclasses.replace(wanted, network=network.name if network else wanted.network))
    check_number(found)
    return tuple(found), ""


def has_user(spec: ContainerSpec) -> bool:
    """Whether its only network is QEMU's own."""
    return [one.network for one in endpoints(spec)] == [USER_NETWORK]


def _check_user_ports(spec: ContainerSpec) -> None:
    for port in spec.ports:
        if ":" in port.host_ip:
            raise InvalidRequest(
                f"a port of the network user cannot be published at {port.host_ip}",
                hint="It has IPv4 alone: leave the address out, or use one of IPv4.",
            )


def _undemanding(spec: ContainerSpec) -> bool:
    """Whether a container runs as well on a host that has no networks."""
    return endpoints(spec) in (DEFAULT, ()) and not spec.ports and not spec.publish_all


def check_number(wanted: Sequence[EndpointSpec]) -> None:
    names = [one.network for one in wanted]
    if len(names) != len(set(names)):
        raise InvalidRequest("a container can be in each network once")
    if NO_NETWORK in names:
        raise InvalidRequest(NO_OTHERS)
    if USER_NETWORK in names and len(names) > 1:
        raise InvalidRequest(USER_ALONE)
    if len(names) > SPARE_PORTS:
        raise Conflict(
            f"a container can be in {SPARE_PORTS} networks at most",
            hint="A guest has that many ports for NICs: disconnect it from another network first.",
        )


# At start and end


async def reserve(engine: Engine, container: Container, *, nic: bool) -> Container:
    """Allot addresses and ports to a container that starts, and record them.

    ``nic`` says whether its machine has a NIC from its start, which the first network gets.

    Raises NotFound for a network that is gone, Conflict for a port that is taken, Forbidden for
    an address that is, Unavailable where the host has no networks or no addresses are left.
    """
    wanted = sorted(endpoints(container.spec), key=lambda one: (-one.gateway_priority, one.network))
    has_files = sharing.wanted(container)
    if has_files and not wanted:
        wanted = [EndpointSpec(FILES_NETWORK)]
    if not wanted:
        return container
    is_user = has_user(container.spec)
    if is_user and has_files:
        raise InvalidRequest(
            "mounts are not reached through the network user", hint="Use another network, or --network none."
        )
    if not is_user and (why := await engine.rooms.network.unavailable()):
        if _undemanding(container.spec) and not has_files:
            return container
        raise Unavailable(why, hint=HINT)
    async with engine.networks.lock:
        container = await engine.rooms.state.get(container.id)  # it may have another name by now
        attachments = [await allotted(engine, container, one) for one in wanted]
        first_nic = FIRST_NIC if nic and not is_user else ""
        attachments[0] = dataclasses.replace(attachments[0], nic=first_nic, files=has_files)
        known = await engine.networks.all()
        if (main := addresses.way_out(attachments, known)) is not None:
            held = await engine.networks.unapplied_ports()
            ports = await publish.bindings(engine.rooms.network, publish.requests(container), held)
            attachments[attachments.index(main)] = dataclasses.replace(main, ports=ports)
        container = await engine.rooms.state.advance(container.id, "starting", attachments=tuple(attachments))
    # Told as soon as it is recorded: whatever the start comes to, release tells that it was left.
    for attachment in attachments:
        _tell(engine, known, attachment, container, "connect")
    return container


def _tell(
    engine: Engine, known: Sequence[Network], attachment: Attachment, container: Container, action: str
) -> None:
    """Publish an event of a network that users know and that is there still."""
    for network in known:
        if network.id == attachment.network_id and not network.isolated:
            engine.events.connection(network, container, action)


async def allotted(engine: Engine, container: Container, wanted: EndpointSpec) -> Attachment:
    """An attachment to one network. Called with the lock of the networks held."""
    if wanted.network == FILES_NETWORK and wanted not in endpoints(container.spec):  # no user says so
        network = await engine.networks.files()
    elif wanted.network == USER_NETWORK:
        return addresses.allot(container, wanted, engine.networks.user, taken=(), reserved=())
    else:
        network = network_names.named(await engine.networks.list(), wanted.network)
    if network.name == DEFAULT_NETWORK:
        network = await engine.networks.default()
    addresses.check(wanted, network)
    others = [other for other in await engine.rooms.state.list() if other.id != container.id]
    taken = {
        address
        for other in others
        for attachment in other.attachments
        if attachment.network_id == network.id
        for address in (attachment.ipv4, attachment.ipv6)
    }
    reserved = {
        address
        for other in others
        for endpoint in endpoints(other.spec)
        if endpoint.network == network.name
        for address in addresses.chosen(endpoint)
    }
    return addresses.allot(container, wanted, network, taken=taken, reserved=reserved)


async def interfaces(engine: Engine, container: Container) -> tuple[Interface, ...]:
    """How the guest is to configure the NICs that were allotted."""
    if not container.attachments:
        return ()
    found = interfaces_in(container, await engine.networks.all())
    has_nic = container.attachments[0].nic == FIRST_NIC
    return (dataclasses.replace(found[0], found=FIRST_MAC), *found[1:]) if has_nic else found


async def hosts(engine: Engine, container: Container) -> tuple[HostName, ...]:
    """The names that a container's user gave addresses. Raises InvalidRequest where one is the host's,
    and the container cannot reach it."""
    found = [HostName(*text.split(":", 1)) for text in container.spec.extra_hosts]
    if has_user(container.spec):
        found.append(HostName(HOST_NAME, HOST_GATEWAY))  # no name server of ours tells it there
    if not any(host.address == HOST_GATEWAY for host in found):
        return tuple(found)
    main = next((one for one in await interfaces(engine, container) if one.gateway4 or one.gateway6), None)
    if main is None:
        raise InvalidRequest(
            f"unable to derive the IP value for {HOST_GATEWAY}",
            hint="The container is in no network that leads to the host.",
        )
    address = main.gateway4 or main.gateway6
    return tuple(HostName(one.name, address) if one.address == HOST_GATEWAY else one for one in found)


async def attach(engine: Engine, container: Container, machine: Machine, tap: int | None) -> None:
    """Make what was allotted real on the host, and plug the NICs in.

    ``tap`` is that of the NIC which the machine has from its start: the first network's, or of no use.
    """
    container = await engine.rooms.state.get(container.id)
    if tap is not None and (not container.attachments or has_user(container.spec)):
        try:
            await machine.unplug_nic(FIRST_NIC)
        except Unavailable as error:  # a guest that keeps it has nothing on its other end
            log_failure(container.id, error)
    if has_user(container.spec):
        (attachment,) = container.attachments
        await machine.plug_user_nic(nic_id(attachment), attachment)
        return
    if not container.attachments:
        return
    # A guest of the pool has brought a host user of its own.
    attachments = tuple(dataclasses.replace(one, uid=container.uid) for one in container.attachments)
    if attachments != container.attachments:
        container = await engine.rooms.state.advance(container.id, "starting", attachments=attachments)
    if tap is not None:
        await engine.rooms.network.name_tap(tap, attachments[0])
    await engine.networks.apply()
    if tap is not None:
        await machine.connect_nic(connected=True)
    for attachment in attachments:
        if attachment.nic != FIRST_NIC:
            await plug(engine, attachment, machine)


async def release(engine: Engine, container: Container) -> None:
    """Take from the host what a container had, whose record says already that it has nothing any more.

    ``container`` is as it was before that.
    """
    await sharing.withdraw(engine, container)
    if not container.attachments:
        return
    await engine.networks.apply_later()
    known = await engine.networks.all()
    for attachment in container.attachments:
        _tell(engine, known, attachment, container, "disconnect")


async def rename(engine: Engine, container: Container) -> None:
    """Let a container that was renamed be found by its new name."""
    if not container.attachments:
        return
    async with engine.live(container.id).lock:  # or its end would be taken back
        container = await engine.rooms.state.get(container.id)
        known = await engine.networks.all()
        asked = {endpoint.network: endpoint for endpoint in endpoints(container.spec)}
        attachments = tuple(
            dataclasses.replace(one, names=addresses.dns_names(container, asked[network_of(known, one).name]))
            if network_of(known, one).name in asked
            else one
            for one in container.attachments
        )
        await engine.rooms.state.amend(container.id, attachments=attachments)
    await engine.networks.apply_later()


def log_failure(container_id: str, error: LinwinError) -> None:
    logger.warning("container %s: %s", container_id[:12], error)


async def plug(engine: Engine, attachment: Attachment, machine: Machine) -> None:
    tap = await engine.rooms.network.open_tap(attachment)
    try:
        await machine.plug_nic(tap, nic_id(attachment), attachment.mac)
    finally:
        os.close(tap)


def nic_id(attachment: Attachment) -> str:
    """What a NIC is called in its machine."""
    return attachment.nic or f"nic-{attachment.id[:12]}"


def interfaces_in(container: Container, known: Sequence[Network]) -> tuple[Interface, ...]:
    main = addresses.way_out(container.attachments, known)
    return tuple(
        addresses.interface(one, network_of(known, one), container, leads_out=one is main)
        for one in container.attachments
    )


def network_of(known: Sequence[Network], attachment: Attachment) -> Network:
    return network_names.find(known, attachment.network_id)
