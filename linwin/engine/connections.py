"""Connecting containers to networks and disconnecting them, which may run meanwhile.

What is to be is recorded first: see :mod:`linwin.engine.attach` for the rules that the next daemon
finishes by what this one left half-way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from linwin.engine import addresses, attach, network_names, pause, publish
from linwin.engine.live import Run
from linwin.errors import Conflict, Forbidden, InvalidRequest, LinwinError, Unavailable
from linwin.model.container import Container
from linwin.model.network import FILES_NETWORK, NO_NETWORK, Attachment, EndpointSpec, Network

if TYPE_CHECKING:
    from linwin.engine.engine import Engine


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
        mine = attach.endpoints(container.spec)
        if network.name == NO_NETWORK or attach.has_none(container.spec):
            raise InvalidRequest(attach.NO_OTHERS)
        if attach.has_user(container.spec):
            raise InvalidRequest(attach.USER_ALONE)
        if any(one.network == network.name for one in mine):
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        addresses.check(wanted, network)
        attach.check_number((*mine, wanted))
        spec = dataclasses.replace(container.spec, endpoints=(*mine, wanted))
        if (run := engine.live(container.id).run) is None:
            await engine.rooms.state.amend(container.id, spec=spec)
            return
        async with AsyncExitStack() as undo:
            attachment = await _plug_in(engine, container, run, wanted, undo)
            await engine.rooms.state.amend(container.id, spec=spec)
            undo.pop_all()
        known = await engine.networks.list()
        engine.events.connection(attach.network_of(known, attachment), container, "connect")


async def disconnect(engine: Engine, reference: str, from_: str, *, force: bool) -> None:
    """Take a container out of the network ``from_``, now where it runs.

    Raises Conflict for one that is not in it, and what a guest says that does not consent; ``force``
    does without its consent.
    """
    container = await engine.rooms.state.get(reference)
    network = await _left(engine, container, from_)
    async with engine.live(container.id).lock:
        container = await _changeable(engine, container.id)
        left = tuple(one for one in attach.endpoints(container.spec) if one.network != network.name)
        if left == attach.endpoints(container.spec):
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
    mine = {one.network for one in attach.endpoints(container.spec)}
    if reference in mine - {network.name for network in known}:
        return Network("", reference, 0, ())
    return network_names.find(known, reference)


async def mend(engine: Engine, container: Container, run: Run) -> None:
    """Finish what a daemon that died had begun to connect or disconnect. Called with the lock held."""
    known = {network.id: network.name for network in await engine.networks.all()}
    wanted = {one.network for one in attach.endpoints(container.spec)} | {FILES_NETWORK}
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
        raise Unavailable(why, hint=attach.HINT)
    async with engine.networks.lock:
        container = await engine.rooms.state.get(container.id)  # it may have another name by now
        attachment = await attach.allotted(engine, container, wanted)
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
    await attach.plug(engine, attachment, run.machine)
    await run.guest.connect_interface(attach.interfaces_in(container, known)[-1])
    return attachment


async def _let_go(run: Run, attachment: Attachment, *, force: bool) -> None:
    """Have the guest do without a NIC."""
    try:
        await run.guest.forget_interface(attachment.mac)
    except LinwinError as error:
        if not force:
            raise
        attach.log_failure(attachment.container_id, error)


async def _take_out(engine: Engine, container_id: str, run: Run, attachment: Attachment) -> None:
    """Unplug a NIC and forget its attachment; its ports go to the NIC that leads out from now on.

    The guest does without it already: what machine and guest refuse is logged, and undoes nothing.
    """
    try:
        await run.machine.unplug_nic(attach.nic_id(attachment))
    except LinwinError as error:
        attach.log_failure(container_id, error)
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
        for interface in attach.interfaces_in(container, known):
            if interface.gateway4:
                await run.guest.connect_interface(interface)
    except LinwinError as error:  # the attachment that led out is gone in any case
        attach.log_failure(container.id, error)
