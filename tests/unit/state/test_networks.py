"""Networks in the database, and what containers carry of them."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from linwin.errors import Conflict
from linwin.model.network import Attachment, EndpointSpec, Network, PortBinding, PortRequest, Subnet
from linwin.paths import Paths
from linwin.state import Database
from linwin.state.migrations import STEPS
from tests.unit.state.test_database import container, database

__all__ = ["database"]


def network(id_: str, name: str, created_at: int = 1) -> Network:
    return Network(
        id_.ljust(64, "0"),
        name,
        created_at,
        (Subnet("10.1.0.0/24", "10.1.0.1", reserved={"router": "10.1.0.9"}), Subnet("fd00::/64", "fd00::1")),
        ipv6=True,
        labels={"k": "v"},
        options={"o": "p"},
    )


async def test_networks_come_back_in_their_order_and_go(database: Database, tmp_path: Path) -> None:
    second, first = network("b", "late", 2), network("a", "early", 1)
    await database.networks.add(second)
    await database.networks.add(first)
    again = Database(Paths(tmp_path, tmp_path / "socket"))
    await again.open()
    assert await again.networks.list() == [first, second]
    await again.networks.delete(first.id)
    await again.networks.delete(first.id)
    assert await database.networks.list() == [second]
    await again.close()


async def test_a_name_is_taken_once(database: Database) -> None:
    await database.networks.add(network("a", "mine"))
    with pytest.raises(Conflict, match="network with name mine already exists"):
        await database.networks.add(network("b", "mine"))


async def test_a_container_keeps_what_it_asked_for_and_was_given(database: Database) -> None:
    plain = container("aa", "web")
    full = dataclasses.replace(
        plain,
        spec=dataclasses.replace(
            plain.spec,
            endpoints=(EndpointSpec("mine", ("db", "store"), "10.1.0.7"),),
            ports=(PortRequest(80, "tcp", "127.0.0.1", 8000, 8010),),
        ),
        attachments=(
            Attachment(
                "e" * 64,
                "a" * 64,
                plain.id,
                "02:42:0a:01:00:07",
                "10.1.0.7",
                names=("web", "db"),
                ports=(PortBinding(80, "tcp", "127.0.0.1", 8003),),
            ),
        ),
    )
    await database.add(full)
    assert await database.get("web") == full
    await database.amend(full.id, spec=dataclasses.replace(full.spec, endpoints=()), attachments=())
    read = await database.get("web")
    assert (read.spec.endpoints, read.attachments) == ((), ())


async def test_a_database_without_networks_gets_its_table(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.executescript(f"{';'.join(STEPS[0])}; PRAGMA user_version = 1;")
    raw.close()
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    await state.open()
    await state.networks.add(network("a", "mine"))
    assert [one.name for one in await state.networks.list()] == ["mine"]
    await state.close()


@pytest.mark.parametrize(
    "record",
    [
        "'{\"id\":1}'",
        "'5'",
        "'['",
        "'[[]]'",
        "CAST(x'ff' AS TEXT)",
        "replace(record, 'mine', 'other')",
        "replace(record, '10.1.0.0/24', 'everywhere')",
        "replace(record, '\"10.1.0.1\"', '7')",
        "replace(record, '10.1.0.9', 'the router')",
        "replace(record, '\"ipv6\":true', '\"ipv6\":1')",
        "replace(record, '\"ipv6\"', '\"later\"')",
    ],
)
async def test_a_row_that_cannot_be_read_costs_no_other_network(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, record: str
) -> None:
    other = network("b", "sound")
    await database.networks.add(network("a", "mine"))
    await database.networks.add(other)
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute(f"UPDATE networks SET record = {record} WHERE name = 'mine'")
    for _ in range(2):
        assert await database.networks.list() == [other]
    assert [one.message.partition(":")[0] for one in caplog.records] == [
        "the record of the network mine cannot be read"
    ]
    # As the check tells whoever has containers in it.
    again = network("c", "mine", 2)
    await database.networks.add(again)
    assert await database.networks.list() == [other, again]
