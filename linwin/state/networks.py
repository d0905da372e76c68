"""Networks in SQLite: one row each, beside the containers.

A row that is damaged, or was written by another linwin, is no network, and says so in
the log: the others and the containers must not suffer from it. It stays until a network
of its name is made again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any, Protocol, TypeVar

from linwin.errors import Conflict
from linwin.model.ip import address_of
from linwin.model.network import Network, Subnet
from linwin.state.records import ROW, Row, check_types

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Transact(Protocol):
    """Runs work on the database in a transaction of its own."""

    def __call__(self, work: Callable[[sqlite3.Connection], T], /) -> Awaitable[T]: ...


class NetworkTable:
    """Implements :class:`linwin.engine.state_interface.NetworkRecords`."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact
        self._told: set[bytes] = set()

    async def add(self, network: Network) -> None:
        def work(db: sqlite3.Connection) -> None:
            found = db.execute(f"SELECT {ROW} FROM networks WHERE name = ?", (network.name,)).fetchone()
            if found and self._read(found):
                raise Conflict(f"network with name {network.name} already exists")
            db.execute("DELETE FROM networks WHERE name = ?", (network.name,))
            row = (network.id, network.name, network.created_at, dump(network))
            db.execute("INSERT INTO networks (id, name, created_at, record) VALUES (?, ?, ?, ?)", row)

        await self._transact(work)

    async def list(self) -> list[Network]:
        def work(db: sqlite3.Connection) -> list[Network]:
            rows = db.execute(f"SELECT {ROW} FROM networks ORDER BY created_at, id")
            return [network for row in rows if (network := self._read(row))]

        return await self._transact(work)

    async def delete(self, network_id: str) -> None:
        await self._transact(lambda db: db.execute("DELETE FROM networks WHERE id = ?", (network_id,)))

    def _read(self, row: Row) -> Network | None:
        """The network of a row; None for one that cannot be read, which is logged once."""
        try:
            return parse(row)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            if row[3] not in self._told:
                self._told.add(row[3])
                why = str(error) or type(error).__name__
                logger.error("the record of the network %s cannot be read: %s; create it again", row[1], why)
            return None


def dump(network: Network) -> str:
    """The JSON text of a network's row."""
    return json.dumps(dataclasses.asdict(network), separators=(",", ":"), ensure_ascii=False)


def parse(row: Row) -> Network:
    """Raises ValueError, TypeError, KeyError or RecursionError for anything but what ``dump`` wrote."""
    fields: Any = json.loads(row[3].decode())
    if not isinstance(fields, dict):
        raise ValueError("it is no object")
    subnets = tuple(Subnet(**subnet) for subnet in fields.pop("subnets"))
    network = Network(subnets=subnets, **fields)
    for part in (network, *subnets):
        check_types(part)
    for subnet in subnets:
        _check_addresses(subnet)
    if (network.id, network.name, network.created_at) != row[:3]:
        raise ValueError("it is the record of another network")
    return network


def _check_addresses(subnet: Subnet) -> None:
    """Raise ValueError for what is no address or no range of them."""
    for text in (subnet.subnet, *filter(None, (subnet.ip_range,))):
        ip_network(text)
    for text in (*filter(None, (subnet.gateway,)), *subnet.reserved.values()):
        address_of(text)
