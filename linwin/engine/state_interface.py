"""The state room as the engine sees it: part of :mod:`linwin.engine.interfaces`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from linwin.model.container import Container, LogQuery, LogRecord, Status
from linwin.model.guest import StreamName
from linwin.model.mount import Volume
from linwin.model.network import Network


class ContainerLog(Protocol):
    """The log of one container, lossless. Appended bytes survive the daemon's death, not the host's."""

    async def begin(self, start: int) -> dict[StreamName, int]:
        """Open for the container's ``start``-th start, cutting off a line that a dead daemon left torn.

        Returns how many bytes of each stream of that start were appended before: none
        for a new one, and for an adopted one whatever an earlier daemon took from the guest.
        """

    async def append(self, stream: StreamName, data: bytes) -> None:
        """Write what a process printed, and wake the followers."""

    def read(self, query: LogQuery) -> AsyncIterator[LogRecord]:
        """What ``query`` selects of the log as it is now; when following, until :meth:`finish` is called.

        Raises Unsupported, in docker's words, for a log that keeps nothing.
        """

    async def finish(self) -> None:
        """Close: no more will come from this start, and followers end. Idempotent."""


class NetworkRecords(Protocol):
    """The networks that exist, durably. Every method commits before it returns."""

    async def add(self, network: Network) -> None:
        """Raises Conflict in docker's words when the name is taken."""

    async def list(self) -> list[Network]:
        """In the order in which they were made."""

    async def delete(self, network_id: str) -> None:
        """Forget a network. Idempotent."""


class VolumeRecords(Protocol):
    """The volumes that exist, durably. Every method commits before it returns."""

    async def add(self, volume: Volume) -> None:
        """Raises Conflict when the name is taken."""

    async def list(self) -> list[Volume]:
        """By name."""

    async def delete(self, name: str) -> None:
        """Forget a volume. Idempotent."""


class State(Protocol):
    """Containers, their logs, networks and volumes, durably. Every method commits before it returns."""

    @property
    def networks(self) -> NetworkRecords: ...

    @property
    def volumes(self) -> VolumeRecords: ...

    async def add(self, container: Container) -> None:
        """Raises Conflict in docker's words when the name is taken."""

    async def get(self, reference: str) -> Container:
        """By full id, exact name (with or without ``/``), or unique id prefix.

        Raises NotFound ("No such container: X") or InvalidRequest for an ambiguous prefix.
        """

    async def list(self) -> list[Container]:
        """Newest first."""

    async def advance(self, container_id: str, status: Status, **changes: object) -> Container:
        """Move to ``status`` (see :mod:`linwin.state.transitions`) and set fields.

        Raises Conflict, naming both states, for a move that is not legal.
        """

    async def amend(self, container_id: str, **changes: object) -> Container:
        """Set fields of a container and leave its status. Raises NotFound."""

    async def rename(self, container_id: str, name: str) -> Container:
        """Raises Conflict in docker's words when the name is taken."""

    async def delete(self, container_id: str) -> None:
        """Forget a container. Idempotent."""

    def log(self, container: Container) -> ContainerLog:
        """The container's log; one object a container for the life of the daemon."""
