"""Networks and containers to try, and a host with them and their guests."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from ipaddress import ip_network

from linwin.model.network import Attachment, HostNetworks, Network, PortBinding, Subnet
from linwin.network import BridgeNetworks
from linwin.paths import Paths
from tests.unit.network.namespaces import Guest, Namespace

_numbers = itertools.count(1)


def new_id() -> str:
    return os.urandom(32).hex()


def network(name: str, *subnets: str, internal: bool = False) -> Network:
    found = [ip_network(text) for text in subnets]
    return Network(
        id=new_id(),
        name=name,
        created_at=0,
        subnets=tuple(Subnet(str(one), str(one[1])) for one in found),
        internal=internal,
        ipv6=any(one.version == 6 for one in found),
    )


def attachment(where: Network, number: int, *names: str, ports: tuple[PortBinding, ...] = ()) -> Attachment:
    """A container's NIC with the subnet's address ``number``."""
    addresses = {ip_network(one.subnet).version: ip_network(one.subnet)[number] for one in where.subnets}
    return Attachment(
        id=new_id(),
        network_id=where.id,
        container_id=new_id(),
        mac=f"02:42:ac:00:{next(_numbers) % 256:02x}:{number:02x}",
        ipv4=str(addresses[4]),
        ipv6=str(addresses.get(6, "")),
        names=names,
        ports=ports,
        uid=1_000_000_000 + number,
    )


def changed(one: Attachment, **fields: object) -> Attachment:
    return replace(one, **fields)  # type: ignore[arg-type]


class World:
    """A host with a room, and the guests of what was applied."""

    def __init__(self, host: Namespace, paths: Paths) -> None:
        self.host = host
        self.paths = paths
        self.room = BridgeNetworks(paths)
        self.desired = HostNetworks()
        self._guests: list[Guest] = []

    async def apply(self, networks: tuple[Network, ...], attachments: tuple[Attachment, ...] = ()) -> None:
        self.desired = HostNetworks(networks, attachments)
        await self.room.apply(self.desired)

    async def add(self, *attachments: Attachment) -> None:
        await self.apply(self.desired.networks, (*self.desired.attachments, *attachments))

    async def guest(self, one: Attachment) -> Guest:
        """The guest of an applied attachment, configured as its agent would."""
        where = next(found for found in self.desired.networks if found.id == one.network_id)
        found = await self.unconfigured_guest(one)
        for subnet in where.subnets:
            range_ = ip_network(subnet.subnet)
            text = one.ipv4 if range_.version == 4 else one.ipv6
            found.configure(f"{text}/{range_.prefixlen}", "" if where.internal else subnet.gateway)
        return found

    async def unconfigured_guest(self, one: Attachment) -> Guest:
        found = Guest(await self.room.open_tap(one), one)
        self._guests.append(found)
        return found

    async def next_daemon(self) -> None:
        """The daemon after one that died, which knows nothing of what that one did.

        To be called while nothing is published: what a process holds, its death lets go of.
        """
        await self.room.close()
        self.room = BridgeNetworks(self.paths)

    def leave(self) -> None:
        """All guests end."""
        while self._guests:
            self._guests.pop().close()

    async def close(self) -> None:
        self.leave()
        await self.room.purge()
