"""Containers in SQLite: one row each, every change committed before it is believed."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from linwin.errors import Conflict, Internal, InvalidRequest, NotFound, Unavailable, unreadable
from linwin.model import log_config
from linwin.model.container import Container, Status
from linwin.model.log_config import LogConfig
from linwin.paths import Paths
from linwin.state import migrations, networks, records, transitions, volumes
from linwin.state.log import JsonFileLog, NoLog

T = TypeVar("T")


class Database:
    """Implements :class:`linwin.engine.interfaces.State`.

    One connection on one thread: SQLite's writes are serial anyway, and the
    event loop never waits for an fsync.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._logs: dict[str, JsonFileLog | NoLog] = {}
        self._listed: dict[records.Row, Container] = {}
        """The containers of the last list by their rows' text, which is most of the work of the next."""
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self.networks = networks.NetworkTable(self._transact)
        self.volumes = volumes.VolumeTable(self._transact)

    async def open(self) -> None:
        """Open or create the database; raises Unavailable for one from a newer linwin."""
        await self._run(self._open)

    async def close(self) -> None:
        """Close the database. Idempotent."""
        if not self._closed:
            self._closed = True
            await self._run(self._close)
            self._thread.shutdown()

    async def add(self, container: Container) -> None:
        def work(db: sqlite3.Connection) -> None:
            _check_free(db, container.name)
            row = (container.id, container.name, container.created_at, records.dump(container))
            db.execute("INSERT INTO containers (id, name, created_at, record) VALUES (?, ?, ?, ?)", row)

        await self._transact(work)

    async def get(self, reference: str) -> Container:
        return await self._transact(lambda db: _find(db, reference))

    async def list(self) -> list[Container]:
        def work(db: sqlite3.Connection) -> list[Container]:
            rows = db.execute(f"SELECT {records.ROW} FROM containers ORDER BY created_at DESC, id")
            before = self._listed
            self._listed = {row: before.get(row) or records.read(row) for row in rows}
            return list(self._listed.values())

        return await self._transact(work)

    async def advance(self, container_id: str, status: Status, **changes: object) -> Container:
        def work(db: sqlite3.Connection) -> Container:
            current = _find(db, container_id)
            transitions.check_move(current.id, current.status, status)
            moved = dataclasses.replace(current, status=status, **changes)  # type: ignore[arg-type]
            db.execute("UPDATE containers SET record = ? WHERE id = ?", (records.dump(moved), moved.id))
            return moved

        return await self._transact(work)

    async def amend(self, container_id: str, **changes: object) -> Container:
        def work(db: sqlite3.Connection) -> Container:
            amended = dataclasses.replace(_readable(db, container_id), **changes)  # type: ignore[arg-type]
            db.execute("UPDATE containers SET record = ? WHERE id = ?", (records.dump(amended), amended.id))
            return amended

        return await self._transact(work)

    async def rename(self, container_id: str, name: str) -> Container:
        def work(db: sqlite3.Connection) -> Container:
            _check_free(db, name)
            renamed = dataclasses.replace(_readable(db, container_id), name=name)
            row = (name, records.dump(renamed), renamed.id)
            db.execute("UPDATE containers SET name = ?, record = ? WHERE id = ?", row)
            return renamed

        return await self._transact(work)

    async def delete(self, container_id: str) -> None:
        await self._transact(lambda db: db.execute("DELETE FROM containers WHERE id = ?", (container_id,)))
        self._logs.pop(container_id, None)

    def log(self, container: Container) -> JsonFileLog | NoLog:
        if container.id not in self._logs:
            self._logs[container.id] = _log(self._paths.log(container.id), container)
        return self._logs[container.id]

    async def _transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction() -> T:
            if self._connection is None:
                raise Internal("the state database is not open")
            with self._connection as connection:
                connection.execute("BEGIN IMMEDIATE")
                return work(connection)

        return await self._run(transaction)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as error:
            raise Unavailable(
                f"the state database {self._paths.database} failed: {error}",
                hint="Check that its disk is writable and not full.",
            ) from error

    def _open(self) -> None:
        migrations.check_known(self._paths.database)
        connection = sqlite3.connect(self._paths.database, isolation_level=None)
        connection.text_factory = _text
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        migrations.migrate(connection, self._paths.database)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _log(path: Path, container: Container) -> JsonFileLog | NoLog:
    config = log_config.resolve(LogConfig(container.spec.log_driver, container.spec.log_options))
    if config.driver == "none":
        return NoLog(path)
    return JsonFileLog(path, log_config.rotation(config), log_config.attributes(config, container))


def _check_free(db: sqlite3.Connection, name: str) -> None:
    """Raise Conflict in docker's words when the name is taken."""
    if taken := db.execute("SELECT id FROM containers WHERE name = ?", (name,)).fetchone():
        raise Conflict(
            f'Conflict. The container name "/{name}" is already in use by container "{taken[0]}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )


def _find(db: sqlite3.Connection, reference: str) -> Container:
    """Docker's order of look-up: full id, exact name, unique id prefix."""
    wanted = reference.removeprefix("/")
    exact = db.execute(
        f"SELECT {records.ROW} FROM containers WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1",
        (wanted,),
    ).fetchone()
    if exact:
        return records.read(exact)
    upper = wanted + "g"  # sorts behind every hexadecimal continuation
    matching = f"SELECT {records.ROW} FROM containers WHERE id >= ? AND id < ? LIMIT 2"
    rows = db.execute(matching, (wanted, upper)).fetchall()
    if not wanted or not rows:
        raise NotFound(f"No such container: {reference}")
    if len(rows) > 1:
        raise InvalidRequest(
            f"Multiple IDs found with provided prefix: {reference}",
            hint="Give more digits of the id, or the name.",
        )
    return records.read(rows[0])


def _text(data: bytes) -> str:
    """A name that a disk damaged is not its record's, and keeps no other from being read."""
    return data.decode(errors="replace")


def _readable(db: sqlite3.Connection, reference: str) -> Container:
    """A container that may be written back: what cannot be read must not be lost by it."""
    container = _find(db, reference)
    if container.unreadable:
        raise unreadable(container.name, container.error)
    return container
