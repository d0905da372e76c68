"""state.db of earlier and later layouts: brought up to date in steps, or left as it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.paths import Paths
from linwin.state import Database, migrations

FIRST = ("CREATE TABLE things (name TEXT)",)
SECOND = ("ALTER TABLE things ADD COLUMN size INTEGER", "UPDATE things SET size = 7")
THIRD = ("CREATE INDEX by_size ON things (size)",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def old(path: Path) -> Iterator[sqlite3.Connection]:
    """A database of the first layout that holds a thing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrations.migrate(connection, path, [FIRST])
        connection.execute("INSERT INTO things VALUES ('a')")
        yield connection


def version(connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    assert isinstance(found, int)
    return found


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def test_missing_steps_are_taken_in_order_after_a_copy(old: sqlite3.Connection, path: Path) -> None:
    migrations.migrate(old, path, [FIRST, SECOND, THIRD])
    assert version(old) == 3
    assert old.execute("SELECT name, size FROM things").fetchall() == [("a", 7)]
    copy = migrations.backup(path, 1)
    assert copy.name == "state.db.version-1"
    assert read(copy, "SELECT * FROM things") == [("a",)]
    assert read(copy, "PRAGMA user_version") == [(1,)]
    assert copy.stat().st_mode & 0o777 == 0o600


def test_nothing_is_copied_where_nothing_is_to_be_done(old: sqlite3.Connection, path: Path) -> None:
    migrations.migrate(old, path, [FIRST])
    assert not list(path.parent.glob("*version*"))


def test_a_step_that_fails_has_not_happened(old: sqlite3.Connection, path: Path) -> None:
    broken = (*SECOND, "INSERT INTO nowhere VALUES (1)")
    with pytest.raises(Unavailable) as caught:
        migrations.migrate(old, path, [FIRST, broken])
    assert caught.value.message == (
        f"the state database {path} could not be brought from version 1 to 2: no such table: nowhere"
    )
    assert caught.value.hint == (
        "Check that its disk is writable and not full, then start the daemon again. "
        f"A copy of what it was before is {path}.version-1."
    )
    assert version(old) == 1
    assert old.execute("SELECT * FROM things").fetchall() == [("a",)]


def test_an_interrupted_upgrade_goes_on_where_it_was(old: sqlite3.Connection, path: Path) -> None:
    """Whoever dies between two steps, or within one, leaves the database at the end of a step."""
    with pytest.raises(Unavailable):
        migrations.migrate(old, path, [FIRST, SECOND, ("INSERT INTO nowhere VALUES (1)",)])
    assert version(old) == 2
    migrations.migrate(old, path, [FIRST, SECOND, THIRD])
    assert version(old) == 3
    assert old.execute("SELECT name, size FROM things").fetchall() == [("a", 7)]
    assert read(migrations.backup(path, 1), "SELECT * FROM things") == [("a",)]
    assert read(migrations.backup(path, 2), "SELECT * FROM things") == [("a", 7)]


def test_no_step_is_taken_without_its_copy(
    old: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(migrations, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        migrations.migrate(old, path, [FIRST, SECOND])
    assert version(old) == 1


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
async def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(f"PRAGMA journal_mode = {mode}")
        raw.execute("CREATE TABLE of_the_future (x)")
        raw.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    with pytest.raises(Unavailable) as caught:
        await state.open()
    await state.close()
    known = len(migrations.STEPS)
    assert caught.value.message == f"the state database {path} has version 99, this linwin knows {known}"
    assert caught.value.hint == "Install the newer linwin that wrote it; nothing was changed."
    assert path.read_bytes() == before


async def test_what_a_newer_daemon_had_not_written_back_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA user_version = 99")
        raw.execute("CREATE TABLE of_the_future (x)")
        whole = {name: (tmp_path / name).read_bytes() for name in ("state.db", "state.db-wal")}
    for name, data in whole.items():  # as after a kill: the last to close would have tidied up
        (tmp_path / name).write_bytes(data)
    state = Database(Paths(tmp_path, tmp_path / "socket"))
    with pytest.raises(Unavailable, match="has version 99"):
        await state.open()
    await state.close()
    assert {name: (tmp_path / name).read_bytes() for name in whole} == whole
