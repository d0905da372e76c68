"""The layouts that ``state.db`` has had, and how one becomes the next.

A database names its layout in SQLite's ``user_version``: it is the number of
:data:`STEPS` that were taken. A step is one transaction, the new number within it,
so whoever dies in one is, for the next daemon, where it began. Before the first step
of an upgrade the database is copied; a layout that is not known is not touched.

Steps are only ever added. What a record of ``containers`` holds may grow without one,
as long as :mod:`linwin.state.records` reads the older ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from linwin.errors import Unavailable
from linwin.host.files import write_atomically

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE containers (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            record TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX containers_by_age ON containers (created_at DESC)",
    ),
    (
        """CREATE TABLE networks (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            record TEXT NOT NULL
        ) STRICT""",
    ),
    (
        """CREATE TABLE volumes (
            name TEXT PRIMARY KEY,
            created_at INTEGER NOT NULL,
            record TEXT NOT NULL
        ) STRICT""",
    ),
)
"""The statements of each step; the first makes a new database."""


def check_known(path: Path, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Raise Unavailable for a database that a newer linwin wrote, which is only read."""
    if not path.exists():
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        version = _version(connection)
    if version > len(steps):
        raise Unavailable(
            f"the state database {path} has version {version}, this linwin knows {len(steps)}",
            hint="Install the newer linwin that wrote it; nothing was changed.",
        )


def migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Take the steps that the database at ``path`` lacks.

    Raises Unavailable for one that fails, those before it having been taken, and
    OSError where there is no room for the copy.
    """
    version = _version(connection)
    if 0 < version < len(steps):
        write_atomically(backup(path, version), connection.serialize())
    for number in range(version, len(steps)):
        try:
            _take(connection, number + 1, steps[number])
        except sqlite3.Error as error:
            raise _failure(path, version, number, error) from error


def backup(path: Path, version: int) -> Path:
    """Where the copy of a database is that had ``version`` before an upgrade."""
    return path.with_name(f"{path.name}.version-{version}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _take(connection: sqlite3.Connection, version: int, statements: Sequence[str]) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")


def _failure(path: Path, version: int, number: int, error: sqlite3.Error) -> Unavailable:
    copy = f" A copy of what it was before is {backup(path, version)}." if version else ""
    return Unavailable(
        f"the state database {path} could not be brought from version {number} to {number + 1}: {error}",
        hint=f"Check that its disk is writable and not full, then start the daemon again.{copy}",
    )
