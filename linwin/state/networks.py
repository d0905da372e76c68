"""Networks in SQLite: one row each, beside the containers."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from linwin.errors import Conflict, Internal
from linwin.model.network import Network, Subnet

T = TypeVar("T")


class Transact(Protocol):
    """Runs work on the database in a transaction of its own."""

    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


class NetworkTable:
    """Implements :class:`linwin.engine.state_interface.NetworkRecords`."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact

    async def add(self, network: Network) -> None:
        def work(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM networks WHERE name = ?", (network.name,)).fetchone():
                raise Conflict(f"network with name {network.name} already exists")
            row = (network.id, network.name, network.created_at, dump(network))
            db.execute("INSERT INTO networks (id, name, created_at, record) VALUES (?, ?, ?, ?)", row)

        await self._transact(work)

    async def list(self) -> list[Network]:
        def work(db: sqlite3.Connection) -> list[Network]:
            rows = db.execute("SELECT record FROM networks ORDER BY created_at, id")
            return [parse(record) for (record,) in rows]

        return await self._transact(work)

    async def delete(self, network_id: str) -> None:
        await self._transact(lambda db: db.execute("DELETE FROM networks WHERE id = ?", (network_id,)))


def dump(network: Network) -> str:
    """The JSON text of a network's row."""
    return json.dumps(dataclasses.asdict(network), separators=(",", ":"), ensure_ascii=False)


def parse(text: str) -> Network:
    """The network of a row; raises Internal when the row is not one of ours."""
    try:
        fields: dict[str, Any] = json.loads(text)
        subnets = tuple(Subnet(**subnet) for subnet in fields.pop("subnets"))
        return Network(subnets=subnets, **fields)
    except (ValueError, TypeError, KeyError) as error:
        raise Internal(
            f"the state database holds a network row that cannot be read: {error}",
            hint="It was written by another version of linwin or damaged; restore state.db from a backup.",
        ) from error
