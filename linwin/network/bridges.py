"""The network room: what the engine wants, made so on this host."""

from __future__ import annotations

from collections.abc import Sequence

from linwin.errors import Unavailable
from linwin.model.network import Attachment, HostNetworks, PortBinding, Subnet
from linwin.paths import Paths


class BridgeNetworks:
    """Implements :class:`linwin.engine.network_interface.Networks`."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    async def unavailable(self) -> str:
        return "this version of linwin has no networks"

    async def free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        raise Unavailable(await self.unavailable())

    async def check_subnet(self, subnet: Subnet) -> None:
        raise Unavailable(await self.unavailable())

    async def free_ports(self, bindings: Sequence[PortBinding]) -> Sequence[PortBinding]:
        raise Unavailable(await self.unavailable())

    async def apply(self, desired: HostNetworks) -> None:
        if desired != HostNetworks():
            raise Unavailable(await self.unavailable())

    async def open_tap(self, attachment: Attachment) -> int:
        raise Unavailable(await self.unavailable())

    async def purge(self) -> None:
        """There is nothing to remove."""
