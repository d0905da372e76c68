"""The network room as the engine sees it: part of :mod:`linwin.engine.interfaces`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from linwin.model.network import Attachment, HostNetworks, PortBinding, Subnet


class Networks(Protocol):
    """Bridges, taps, rules, leases and names on the host, all of this root's own.

    Declarative: the engine says what is to exist, whole, and the room finds out what has to be
    done for it. So a daemon that died half-way is repaired by the next call.
    """

    async def unavailable(self) -> str:
        """Why this host can have no networks (no root, no nft, no tun device); empty when it can."""

    async def free_subnet(self, taken: Sequence[Subnet], *, ipv6: bool) -> Subnet:
        """A private range that neither ``taken`` nor the host's own addresses and routes overlap.

        Raises Unavailable when there is none left.
        """

    async def check_subnet(self, subnet: Subnet) -> None:
        """Raises Conflict, in docker's words, for a range that the host itself uses."""

    async def free_ports(self, bindings: Sequence[PortBinding]) -> Sequence[PortBinding]:
        """The same with a host port in each that had none.

        Nothing holds them before they are applied: until then the caller lets nobody else ask.
        Raises Conflict, in docker's words, for a port that somebody on the host holds.
        """

    async def apply(self, desired: HostNetworks) -> None:
        """Make the host so: create what is missing, change what differs, remove what is this root's
        and not wanted. Rules change at once or not at all, and name servers that end later are started
        again. Idempotent. Changes that meet take turns, and one whose caller is cancelled is finished.
        Raises Unavailable, and InvalidRequest for what is no address, before anything is changed."""

    async def open_tap(self, attachment: Attachment) -> int:
        """A new open file of the tap of an applied attachment, for its machine. The caller closes it."""

    async def spare_tap(self) -> int:
        """An open file of a new tap that is plugged in nowhere, and goes with its last open file.

        The caller closes it. Raises Unavailable.
        """

    async def name_tap(self, tap: int, attachment: Attachment) -> None:
        """Make a spare tap that of an attachment, which is then to be applied. Raises Unavailable."""

    async def purge(self) -> None:
        """Remove everything of this root from the host. Idempotent."""

    async def close(self) -> None:
        """Look after name servers no more: what exists goes on. Idempotent."""
