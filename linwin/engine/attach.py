"""Attaching containers to networks: allot, plug in, take out. What is to be is recorded first.

Two rules tell the next daemon what this one left half-way. A container at rest has no
attachments. An attachment in a network that the container's spec does not name is one that
was being made or taken away when the daemon died: it is taken away (:func:`mend`).
"""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from linwin.engine import addresses, network_names, pause, publish, sharing
from linwin.engine.interfaces import Machine
from linwin.engine.live import Run
from linwin.errors import Conflict, Forbidden, InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.model.container import Container, ContainerSpec
from linwin.model.machine import FIRST_MAC, FIRST_NIC, SPARE_PORTS
from linwin.model.network import (
    DEFAULT_NETWORK,
    FILES_NETWORK,
    HOST_GATEWAY,
    NO_NETWORK,
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
HINT = "Leave out -p and --network, or see docs/networks.md for what a host needs."


def endpoints(spec: ContainerSpec) -> tuple[EndpointSpec, ...]:
    """The networks that a container is in, running or not."""
    if spec.endpoints is not None:
        return spec.endpoints
    # Records from before there were networks have no endpoints.
    return () if _has_none(spec) else DEFAULT


def _has_none(spec: ContainerSpec) -> bool:
    """Whether its user wanted no network, which counts as one that goes with no other."""
    return bool(spec.host_config.get("NetworkMode") == NO_NETWORK)


# At create


async def check(engine: Engine, spec: ContainerSpec) -> tuple[tuple[EndpointSpec, ...], str]:
    """The endpoints of a new container, each under its network's name, and a warning for its user.

    As docker's, networks that do not exist yet are no error before the start. Raises
    InvalidRequest for what cannot be, Unavailable for what this host cannot give.
    """
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
    _check_number(found)
    return tuple(found), ""


def _undemanding(spec: ContainerSpec) -> bool:
    """Whether a container runs as well on a host that has no networks."""
    return endpoints(spec) in (DEFAULT, ()) and not spec.ports and not spec.publish_all


def _check_number(wanted: Sequence[EndpointSpec]) -> None:
    names = [one.network for one in wanted]
    if len(names) != len(set(names)):
        raise InvalidRequest("a container can be in each network once")
    if NO_NETWORK in names:
        raise InvalidRequest(NO_OTHERS)
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
    if why := await engine.rooms.network.unavailable():
        if _undemanding(container.spec) and not has_files:
            return container
        raise Unavailable(why, hint=HINT)
    async with engine.networks.lock:
        container = await engine.rooms.state.get(container.id)  # it may have another name by now
        attachments = [await _allotted(engine, container, one) for one in wanted]
        first_nic = FIRST_NIC if nic else ""
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


async def _allotted(engine: Engine, container: Container, wanted: EndpointSpec) -> Attachment:
    """An attachment to one network. Called with the lock of the networks held."""
    if wanted.network == FILES_NETWORK and wanted not in endpoints(container.spec):  # no user says so
        network = await engine.networks.files()
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
    found = _interfaces(container, await engine.networks.all())
    has_nic = container.attachments[0].nic == FIRST_NIC
    return (dataclasses.replace(found[0], found=FIRST_MAC), *found[1:]) if has_nic else found


async def hosts(engine: Engine, container: Container) -> tuple[HostName, ...]:
    """The names that a container's user gave addresses. Raises InvalidRequest where one is the host's,
    and the container cannot reach it."""
    found = [HostName(*text.split(":", 1)) for text in container.spec.extra_hosts]
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
    if not container.attachments:
        if tap is not None:
            try:
                await machine.unplug_nic(FIRST_NIC)
            except Unavailable as error:  # a guest that keeps it has nothing on its other end
                _log(container.id, error)
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
            await _plug(engine, attachment, machine)


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
            dataclasses.replace(one, names=addresses.dns_names(container, asked[_network(known, one).name]))
            if _network(known, one).name in asked
            else one
            for one in container.attachments
        )
        await engine.rooms.state.amend(container.id, attachments=attachments)
    await engine.networks.apply_later()


# While it runs


async def connect(engine: Engine, reference: str, to: str, wanted: EndpointSpec) -> None:
    """Connect a container to the network ``to``, now where it runs.

    Raises Forbidden for one that is in it already, Conflict for one in no state for it,
    InvalidRequest for an endpoint that cannot be.
    """
    network = await engine.networks.find(to)
    container = await engine.rooms.state.get(reference)
    async with engine.live(container.id).lock:
        container = await _changeable(engine, container.id)
        wanted = dataclasses.replace(wanted, network=network.name)
        mine = endpoints(container.spec)
        if network.name == NO_NETWORK or _has_none(container.spec):
            raise InvalidRequest(NO_OTHERS)
        if any(one.network == network.name for one in mine):
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        addresses.check(wanted, network)
        _check_number((*mine, wanted))
        spec = dataclasses.replace(container.spec, endpoints=(*mine, wanted))
        if (run := engine.live(container.id).run) is None:
            await engine.rooms.state.amend(container.id, spec=spec)
            return
        async with AsyncExitStack() as undo:
            attachment = await _plug_in(engine, container, run, wanted, undo)
            await engine.rooms.state.amend(container.id, spec=spec)
            undo.pop_all()
        known = await engine.networks.list()
        engine.events.connection(_network(known, attachment), container, "connect")


async def disconnect(engine: Engine, reference: str, from_: str, *, force: bool) -> None:
    """Take a container out of the network ``from_``, now where it runs.

    Raises Conflict for one that is not in it, and what a guest says that does not consent; ``force``
    does without its consent.
    """
    container = await engine.rooms.state.get(reference)
    network = await _left(engine, container, from_)
    async with engine.live(container.id).lock:
        container = await _changeable(engine, container.id)
        left = tuple(one for one in endpoints(container.spec) if one.network != network.name)
        if left == endpoints(container.spec):
            raise Conflict(f"container {container.id} is not connected to network {network.name}")
        if not force:
            _check_files(container, network)
        before, spec = container.spec, dataclasses.replace(container.spec, endpoints=left)
        container = await engine.rooms.state.amend(container.id, spec=spec)
        run = engine.live(container.id).run
        for attachment in container.attachments:
            if run is not None and attachment.network_id == network.id:
                try:
                    await _let_go(run, attachment, force=force)
                except LinwinError:
                    await engine.rooms.state.amend(container.id, spec=before)
                    raise
                await _take_out(engine, container.id, run, attachment)
        if network.id:
            engine.events.connection(network, container, "disconnect")


def _check_files(container: Container, network: Network) -> None:
    """Raise Conflict for the network through which a container that runs reaches its mounts."""
    if any(one.files and one.network_id == network.id for one in container.attachments):
        raise Conflict(
            f"container {container.name} reaches its mounts through the network {network.name}",
            hint="Stop it first; with --force its programs wait for files that do not come.",
        )


async def _left(engine: Engine, container: Container, reference: str) -> Network:
    """The network that a container leaves, which may be gone while it is at rest."""
    known = await engine.networks.list()
    mine = {one.network for one in endpoints(container.spec)}
    if reference in mine - {network.name for network in known}:
        return Network("", reference, 0, ())
    return network_names.find(known, reference)


async def mend(engine: Engine, container: Container, run: Run) -> None:
    """Finish what a daemon that died had begun to connect or disconnect. Called with the lock held."""
    known = {network.id: network.name for network in await engine.networks.all()}
    wanted = {one.network for one in endpoints(container.spec)} | {FILES_NETWORK}
    for attachment in container.attachments:
        if known.get(attachment.network_id) not in wanted:
            await _let_go(run, attachment, force=True)
            await _take_out(engine, container.id, run, attachment)


async def _changeable(engine: Engine, container_id: str) -> Container:
    container = await engine.rooms.state.get(container_id)
    if container.status in ("removing", "dead"):
        raise Conflict(
            f"Container {container.id} is marked for removal and cannot be connected or disconnected"
        )
    pause.refuse(container, "connect or disconnect")
    if container.status == "stopping":
        raise Conflict(f"container {container.short_id} is stopping", hint="Wait for its end.")
    return container


async def _plug_in(
    engine: Engine, container: Container, run: Run, wanted: EndpointSpec, undo: AsyncExitStack
) -> Attachment:
    if why := await engine.rooms.network.unavailable():
        raise Unavailable(why, hint=HINT)
    async with engine.networks.lock:
        container = await engine.rooms.state.get(container.id)  # it may have another name by now
        attachment = await _allotted(engine, container, wanted)
        known = await engine.networks.list()
        if addresses.way_out((*container.attachments, attachment), known) is attachment:
            held = await engine.networks.unapplied_ports()
            ports = await publish.bindings(engine.rooms.network, publish.requests(container), held)
            attachment = dataclasses.replace(attachment, ports=ports)
        container = await engine.rooms.state.amend(
            container.id, attachments=(*container.attachments, attachment)
        )
    undo.push_async_callback(_take_out, engine, container.id, run, attachment)
    undo.push_async_callback(_let_go, run, attachment, force=True)
    await engine.networks.apply()
    await _plug(engine, attachment, run.machine)
    await run.guest.connect_interface(_interfaces(container, known)[-1])
    return attachment


async def _let_go(run: Run, attachment: Attachment, *, force: bool) -> None:
    """Have the guest do without a NIC."""
    try:
        await run.guest.forget_interface(attachment.mac)
    except LinwinError as error:
        if not force:
            raise
        _log(attachment.container_id, error)


async def _take_out(engine: Engine, container_id: str, run: Run, attachment: Attachment) -> None:
    """Unplug a NIC and forget its attachment; its ports go to the NIC that leads out from now on.

    The guest does without it already: what machine and guest refuse is logged, and undoes nothing.
    """
    try:
        await run.machine.unplug_nic(nic_id(attachment))
    except LinwinError as error:
        _log(container_id, error)
    known = await engine.networks.list()
    container = await engine.rooms.state.get(container_id)
    left = [one for one in container.attachments if one.id != attachment.id]
    heir = addresses.way_out(left, known) if attachment.ports else None
    if heir is not None:
        left[left.index(heir)] = dataclasses.replace(heir, ports=attachment.ports)
    before = addresses.way_out(container.attachments, known)
    container = await engine.rooms.state.amend(container_id, attachments=tuple(left))
    await engine.networks.apply_later()
    if before is not None and before.id == attachment.id:
        await _lead_out(container, run, known)


async def _lead_out(container: Container, run: Run, known: Sequence[Network]) -> None:
    """Tell the guest by which of its NICs it now reaches the world."""
    try:
        for interface in _interfaces(container, known):
            if interface.gateway4:
                await run.guest.connect_interface(interface)
    except LinwinError as error:  # the attachment that led out is gone in any case
        _log(container.id, error)


def _log(container_id: str, error: LinwinError) -> None:
    logger.warning("container %s: %s", container_id[:12], error)


async def _plug(engine: Engine, attachment: Attachment, machine: Machine) -> None:
    tap = await engine.rooms.network.open_tap(attachment)
    try:
        await machine.plug_nic(tap, nic_id(attachment), attachment.mac)
    finally:
        os.close(tap)


def nic_id(attachment: Attachment) -> str:
    """What a NIC is called in its machine."""
    return attachment.nic or f"nic-{attachment.id[:12]}"


def _interfaces(container: Container, known: Sequence[Network]) -> tuple[Interface, ...]:
    main = addresses.way_out(container.attachments, known)
    return tuple(
        addresses.interface(one, _network(known, one), container, leads_out=one is main)
        for one in container.attachments
    )


def _network(known: Sequence[Network], attachment: Attachment) -> Network:
    return network_names.find(known, attachment.network_id)
