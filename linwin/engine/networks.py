"""Networks: what exists, made and removed, and how the host is told of it.

The state says which networks exist, and each container's record what it was allotted in
them. :meth:`Networks.apply` has the network room make the host so: whatever changed is
recorded first, so the next daemon repairs what this one could not finish.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from linwin.engine import connections, names, network_names, subnets
from linwin.engine.network_names import PREDEFINED
from linwin.errors import Conflict, Forbidden, LinwinError, Unavailable
from linwin.model.container import Container
from linwin.model.network import (
    DEFAULT_NETWORK,
    FILES_NETWORK,
    NO_NETWORK,
    USER_NETWORK,
    USER_SUBNET,
    Attachment,
    EndpointSpec,
    HostNetworks,
    Network,
    NetworkSpec,
    PortBinding,
    Subnet,
)

if TYPE_CHECKING:
    from linwin.engine.engine import Engine

logger = logging.getLogger(__name__)


class Networks:
    """All networks of one root."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.lock = asyncio.Lock()
        """Held while addresses and ports are chosen and recorded, and while the host is changed."""
        self._asked = 0
        self._answered = 0
        self._applied: HostNetworks | None = None
        """What the host was last made to be; None where nobody knows, as after a change that failed."""
        self._warned = False

    # Looking them up

    async def list(self) -> Sequence[Network]:
        """All but those that are not of the host's, or nobody's to use: see :meth:`all`."""
        return [network for network in await self.all() if not (network.isolated or network.emulated)]

    async def all(self) -> Sequence[Network]:
        """All, the predefined ones first. The default one has no subnet until it is needed."""
        kept = await self._engine.rooms.state.networks.list()
        own = [network for network in kept if network.name != DEFAULT_NETWORK]
        default = next((network for network in kept if network.name == DEFAULT_NETWORK), None)
        return [default or self._predefined(DEFAULT_NETWORK), self._predefined(NO_NETWORK), *own, self.user]

    async def find(self, reference: str) -> Network:
        """By id, name or unique beginning of an id. Raises NotFound or InvalidRequest in docker's words."""
        return network_names.find(await self.list(), reference)

    async def connected(self, network: Network) -> Sequence[tuple[Container, Attachment]]:
        """The containers that have a NIC in it now."""
        return [
            (container, attachment)
            for container in await self._engine.rooms.state.list()
            for attachment in container.attachments
            if attachment.network_id == network.id
        ]

    @property
    def user(self) -> Network:
        """The network that QEMU is for one guest."""
        return dataclasses.replace(self._predefined(USER_NETWORK), subnets=(USER_SUBNET,))

    def _predefined(self, name: str) -> Network:
        """One that is not recorded. Its id comes from the root's, so that it stays the same."""
        digest = hashlib.sha256(f"{self._engine.paths.tag} {name}".encode()).hexdigest()
        return Network(digest, name, 0, ())

    # Making and removing them

    async def create(self, spec: NetworkSpec) -> tuple[Network, tuple[str, ...]]:
        """A network, and what its user should be warned of.

        Raises Forbidden for the name of a predefined one and for a range that overlaps another's,
        Conflict for a name that is taken, InvalidRequest for what makes no network.
        """
        if spec.name in PREDEFINED:
            raise Forbidden(f"operation is not permitted on predefined {spec.name} network ")
        subnets.check_name(spec.name)
        warnings = tuple(subnets.check_options(spec))
        chosen = subnets.check(spec)
        await self._check_host()
        async with self.lock:
            network = await self._add(spec, chosen, names.new_id())
        try:
            await self.apply()
        except LinwinError:
            await self._forget(network)
            await self.apply_later()  # what was made of it before that failed
            raise
        self._engine.events.network(network, "create")
        return network, warnings

    async def default(self) -> Network:
        """The default network, which comes to be when it is first needed. Called with the lock held."""
        network = await self.find(DEFAULT_NETWORK)
        if network.subnets:
            return network
        return await self._add(NetworkSpec(DEFAULT_NETWORK), (), network.id)

    async def files(self) -> Network:
        """The link to the file server, which comes to be likewise. Called with the lock held."""
        for network in await self._engine.rooms.state.networks.list():
            if network.isolated:
                return network
        link = self._predefined(FILES_NETWORK)
        return await self._add(NetworkSpec(FILES_NETWORK, internal=True), (), link.id)

    async def remove(self, reference: str) -> None:
        """Raises Forbidden for one that is predefined, or has containers that run."""
        network = await self.find(reference)
        if network.name in PREDEFINED:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if not await self._removed(network):
            users = await self.connected(network)
            listed = ", ".join(f'name:"{one.name}" id:"{one.short_id}"' for one, _ in users)
            raise Forbidden(
                f"error while removing network: network {network.name} has active endpoints ({listed})",
                hint=f"Stop them, or disconnect them: linwin network disconnect {network.name} CONTAINER",
            )
        await self.apply_later()

    async def prune(self, keep: Callable[[Network], bool]) -> tuple[str, ...]:
        """Remove all that no container runs in; returns their names."""
        removed = [
            network.name
            for network in await self.list()
            if network.name not in PREDEFINED and not keep(network) and await self._removed(network)
        ]
        if removed:
            await self.apply_later()
        self._engine.events.pruned("network", 0)
        return tuple(removed)

    async def _removed(self, network: Network) -> bool:
        """Forget a network, unless it is in use."""
        if not await self._forget(network):
            return False
        self._engine.events.network(network, "destroy")
        return True

    async def _forget(self, network: Network) -> bool:
        async with self.lock:
            if await self.connected(network):
                return False
            await self._engine.rooms.state.networks.delete(network.id)
        return True

    async def _check_host(self) -> None:
        if why := await self._engine.rooms.network.unavailable():
            raise Unavailable(why, hint="A host without networks runs containers that need none.")

    async def _add(self, spec: NetworkSpec, chosen: tuple[Subnet, ...], network_id: str) -> Network:
        room, kept = self._engine.rooms.network, await self._engine.rooms.state.networks.list()
        if any(other.name == spec.name for other in kept):
            raise Conflict(f"network with name {spec.name} already exists")
        taken = [subnet for other in kept for subnet in other.subnets]
        for subnet in chosen:
            if subnets.overlapping(subnet, taken):
                raise Forbidden(
                    "invalid pool request: Pool overlaps with other one on this address space",
                    hint="List the networks and their subnets: linwin network ls, linwin network inspect.",
                )
            await room.check_subnet(subnet)
        versions = {subnets.range_of(subnet).version for subnet in chosen}
        found_here = list(chosen)
        for version in (4, 6) if spec.ipv6 else (4,):
            if version not in versions:
                free = await room.free_subnet([*taken, *found_here], ipv6=version == 6)
                found_here.append(free)
        network = Network(
            network_id,
            spec.name,
            time.time_ns(),
            tuple(sorted(found_here, key=lambda subnet: subnets.range_of(subnet).version)),
            internal=spec.internal,
            ipv6=spec.ipv6,
            labels=spec.labels,
            options=spec.options,
        )
        await self._engine.rooms.state.networks.add(network)
        return network

    # Their containers

    async def connect(self, network: str, container: str, wanted: EndpointSpec) -> None:
        """Connect a container to a network, now where it runs."""
        await connections.connect(self._engine, container, network, wanted)

    async def disconnect(self, network: str, container: str, *, force: bool) -> None:
        """Take a container out of a network; ``force`` does without the consent of its guest."""
        await connections.disconnect(self._engine, container, network, force=force)

    # Telling the host

    async def apply(self) -> None:
        """Have the host be as the state says. Of callers that wait for one another one does it for all."""
        self._asked += 1
        mine = self._asked
        async with self.lock:
            if self._answered < mine:
                await self._apply()

    async def _apply(self) -> None:
        """Called with the lock held."""
        room, newest, desired = self._engine.rooms.network, self._asked, await self._desired()
        before, self._applied = self._applied, None
        if desired != HostNetworks():
            await room.apply(desired)
        elif before != desired:
            if await room.unavailable():
                return  # nothing is to be, and nothing can be done about what there may be
            await room.purge()
        self._applied, self._answered = desired, newest

    async def apply_later(self) -> None:
        """The same for a change that must not fail: what could not be done now, the next one does."""
        try:
            await self.apply()
        except LinwinError as error:
            logger.error("the host's networks are not as they should be: %s", error)

    async def recover(self) -> None:
        """Make the host what an earlier daemon recorded, where it can have networks at all."""
        why = await self._engine.rooms.network.unavailable()
        if why:
            logger.warning("containers have no networks here: %s", why)
        else:
            await self.apply_later()

    async def _desired(self) -> HostNetworks:
        networks = await self._engine.rooms.state.networks.list()
        known = {network.id for network in networks}
        containers = await self._engine.rooms.state.list()
        return HostNetworks(
            tuple(networks),
            tuple(
                attachment
                for container in containers
                for attachment in container.attachments
                if attachment.network_id in known
            ),
        )

    async def unapplied_ports(self) -> Sequence[PortBinding]:
        """Ports that were given to containers and are not yet held on the host. Called with the lock held.

        Has the host catch up first where a change failed, or it would hold ports of those that ended.
        """
        if self._applied is None:
            await self._apply()
        applied = {attachment.id for attachment in (self._applied or HostNetworks()).attachments}
        return [
            port
            for attachment in (await self._desired()).attachments
            if attachment.id not in applied
            for port in attachment.ports
        ]

    async def warning(self) -> str:
        """Why containers get no network here; told once, and empty where they do."""
        why = "" if self._warned else await self._engine.rooms.network.unavailable()
        self._warned = self._warned or bool(why)
        return f"containers have no network here: {why}" if why else ""
