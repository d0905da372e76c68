"""Volumes in the database, and what containers carry of them."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from linwin.errors import Conflict
from linwin.model.mount import Mount, Volume
from linwin.paths import Paths
from linwin.state import Database
from linwin.state.migrations import STEPS
from tests.unit.state.test_database import container, database
from tests.unit.state.test_networks import network

__all__ = ["database"]


def volume(name: str, created_at: int = 1) -> Volume:
    return Volume(name, created_at, {"k": "v"}, {"o": "p"}, anonymous=True)


async def test_volumes_come_back_by_name_and_go(database: Database, tmp_path: Path) -> None:
    second, first = volume("second", 1), volume("first", 2)
    await database.volumes.add(second)
    await database.volumes.add(first)
    again = Database(Paths(tmp_path, tmp_path / "socket"))
    await again.open()
    assert await again.volumes.list() == [first, second]
    await again.volumes.delete("first")
    await again.volumes.delete("first")
    assert await database.volumes.list() == [second]
    await again.close()


async def test_a_name_is_taken_once(database: Database) -> None:
    await database.volumes.add(volume("mine"))
    with pytest.raises(Conflict, match="volume with name mine already exists"):
        await database.volumes.add(volume("mine", 2))
    await database.volumes.add(volume("Mine"))  # another folder, on Linux


async def test_a_container_keeps_its_mounts(database: Database) -> None:
    plain = container("aa", "web")
    mounts = (
        Mount("bind", "C:\\src", "/src", read_only=True, mode="ro", uid=7, gid=8),
        Mount("volume", "C:\\data", "data", copy=False, labels={"a": "b"}),
        Mount("tmpfs", "D:\\", size=1 << 20),
    )
    spec = dataclasses.replace(plain.spec, mounts=mounts, volumes=("C:\\logs",), volumes_from=("other:ro",))
    full = dataclasses.replace(plain, spec=spec, mounts=mounts)
    await database.add(full)
    assert await database.get("web") == full


async def test_a_database_without_volumes_gets_their_table(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.executescript(f"{';'.join([*STEPS[0], *STEPS[1]])}; PRAGMA user_version = 2;")
    raw.close()
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    await state.open()
    await state.networks.add(network("a", "mine"))
    await state.volumes.add(volume("mine"))
    assert [one.name for one in await state.volumes.list()] == ["mine"]
    await state.close()


@pytest.mark.parametrize(
    "record",
    [
        "'{\"name\":1}'",
        "'5'",
        "'['",
        "'[[]]'",
        "CAST(x'ff' AS TEXT)",
        "replace(record, 'mine', 'other')",
        "replace(record, '\"v\"', '7')",
        "replace(record, '\"anonymous\":true', '\"anonymous\":1')",
        "replace(record, '\"labels\"', '\"later\"')",
    ],
)
async def test_a_row_that_cannot_be_read_costs_no_other_volume(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture, record: str
) -> None:
    other = volume("sound")
    await database.volumes.add(volume("mine"))
    await database.volumes.add(other)
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute(f"UPDATE volumes SET record = {record} WHERE name = 'mine'")
    for _ in range(2):
        assert await database.volumes.list() == [other]
    (told,) = [one.message for one in caplog.records]
    assert told.startswith("the record of the volume mine cannot be read: ")
    assert told.endswith("; its files are kept: create it again")
    again = volume("mine", 2)
    await database.volumes.add(again)
    assert await database.volumes.list() == [again, other]
