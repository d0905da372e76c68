"""Containers in a dictionary, with the real rules about what may follow what."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator

from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable
from linwin.model.container import Container, LogQuery, LogRecord, Status
from linwin.model.guest import StreamName
from linwin.model.mount import Volume
from linwin.model.network import Network
from linwin.state.transitions import check_move
from tests.scenario.fakes.gate import Gate


class FakeLog:
    def __init__(self) -> None:
        self._records: list[LogRecord] = []
        self._open = False
        self._start = 0
        self._counts: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._changed = asyncio.Condition()

    async def begin(self, start: int) -> dict[StreamName, int]:
        self._open = True
        if start != self._start:
            self._start, self._counts = start, {"stdout": 0, "stderr": 0}
        return dict(self._counts)

    async def append(self, stream: StreamName, data: bytes) -> None:
        self._counts[stream] += len(data)
        async with self._changed:
            for line in data.splitlines(keepends=True) if len(data) < 4096 else [data]:
                self._records.append(LogRecord(stream, time.time_ns(), line))
            self._changed.notify_all()

    def read(self, query: LogQuery) -> AsyncIterator[LogRecord]:
        return self._read(query, len(self._records))

    async def _read(self, query: LogQuery, position: int) -> AsyncIterator[LogRecord]:
        first = 0 if query.tail is None else max(0, position - query.tail)
        for record in self._records[first:position]:
            if _matches(query, record):
                yield record
        while query.follow:
            await self._grown(position)
            if len(self._records) == position:
                return
            fresh = self._records[position:]
            position += len(fresh)
            for record in fresh:
                if _matches(query, record):
                    yield record

    async def _grown(self, size: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._records) > size or not self._open)

    async def finish(self) -> None:
        async with self._changed:
            self._open = False
            self._changed.notify_all()


def _matches(query: LogQuery, record: LogRecord) -> bool:
    return (
        (query.stdout if record.stream == "stdout" else query.stderr)
        and record.time_ns >= query.since
        and (not query.until or record.time_ns <= query.until)
    )


class FakeNetworkRecords:
    """Networks by id, in the order in which they were made."""

    def __init__(self) -> None:
        self.kept: dict[str, Network] = {}

    async def add(self, network: Network) -> None:
        if any(other.name == network.name for other in self.kept.values()):
            raise Conflict(f"network with name {network.name} already exists")
        self.kept[network.id] = network

    async def list(self) -> list[Network]:
        return list(self.kept.values())

    async def delete(self, network_id: str) -> None:
        self.kept.pop(network_id, None)


class FakeVolumeRecords:
    """Volumes by name."""

    def __init__(self) -> None:
        self.kept: dict[str, Volume] = {}

    async def add(self, volume: Volume) -> None:
        if volume.name in self.kept:
            raise Conflict(f"volume with name {volume.name} already exists")
        self.kept[volume.name] = volume

    async def list(self) -> list[Volume]:
        return [self.kept[name] for name in sorted(self.kept)]

    async def delete(self, name: str) -> None:
        self.kept.pop(name, None)


class FakeState:
    """``containers`` is by id.

    ``gates`` hold the answer to a change that is committed already; ``full``
    are the states that there is no room to write down.
    """

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.networks = FakeNetworkRecords()
        self.volumes = FakeVolumeRecords()
        self.gates: dict[Status, Gate] = {}
        self.full: set[Status] = set()
        self._logs: dict[str, FakeLog] = {}

    async def add(self, container: Container) -> None:
        self._check_free(container.name)
        self.containers[container.id] = container

    def _check_free(self, name: str) -> None:
        for other in self.containers.values():
            if other.name == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container '
                    f'"{other.id}". You have to remove (or rename) that container to be able to reuse '
                    "that name."
                )

    async def get(self, reference: str) -> Container:
        wanted = reference.removeprefix("/")
        if wanted in self.containers:
            return self.containers[wanted]
        for container in self.containers.values():
            if container.name == wanted:
                return container
        found = [container for key, container in self.containers.items() if wanted and key.startswith(wanted)]
        if not found:
            raise NotFound(f"No such container: {reference}")
        if len(found) > 1:
            raise InvalidRequest(f"Multiple IDs found with provided prefix: {reference}")
        return found[0]

    async def list(self) -> list[Container]:
        return sorted(self.containers.values(), key=lambda container: container.created_at, reverse=True)

    async def advance(self, container_id: str, status: Status, **changes: object) -> Container:
        current = self.containers[container_id]
        check_move(container_id, current.status, status)
        moved = dataclasses.replace(current, status=status, **changes)  # type: ignore[arg-type]
        if status in self.full:
            raise Unavailable("the state database failed: database or disk is full")
        self.containers[container_id] = moved
        if gate := self.gates.get(status):
            await gate.passed()
        return moved

    async def amend(self, container_id: str, **changes: object) -> Container:
        amended = dataclasses.replace(await self.get(container_id), **changes)  # type: ignore[arg-type]
        self.containers[amended.id] = amended
        return amended

    async def rename(self, container_id: str, name: str) -> Container:
        self._check_free(name)
        renamed = dataclasses.replace(self.containers[container_id], name=name)
        self.containers[container_id] = renamed
        return renamed

    async def delete(self, container_id: str) -> None:
        self.containers.pop(container_id, None)
        self._logs.pop(container_id, None)

    def log(self, container: Container) -> FakeLog:
        return self._logs.setdefault(container.id, FakeLog())
