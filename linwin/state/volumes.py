"""Volumes in SQLite: one row each, beside the containers.

A row that is damaged, or was written by another linwin, is no volume, and says so in the
log: the others and the containers must not suffer from it. It stays until a volume of its
name is made again, which then has the files that lie there.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sqlite3
from typing import Any

from linwin.errors import Conflict
from linwin.model.mount import Volume
from linwin.state.networks import Transact
from linwin.state.records import check_types

ROW = "name, created_at, CAST(record AS BLOB)"
"""The columns of a :data:`Row`."""

Row = tuple[str, int, bytes]
"""``name``, ``created_at`` and ``record``, the latter as bytes since it may be no text at all."""

logger = logging.getLogger(__name__)


class VolumeTable:
    """Implements :class:`linwin.engine.state_interface.VolumeRecords`."""

    def __init__(self, transact: Transact) -> None:
        self._transact = transact
        self._told: set[bytes] = set()

    async def add(self, volume: Volume) -> None:
        def work(db: sqlite3.Connection) -> None:
            found = db.execute(f"SELECT {ROW} FROM volumes WHERE name = ?", (volume.name,)).fetchone()
            if found and self._read(found):
                raise Conflict(f"volume with name {volume.name} already exists")
            row = (volume.name, volume.created_at, dump(volume))
            db.execute("REPLACE INTO volumes (name, created_at, record) VALUES (?, ?, ?)", row)

        await self._transact(work)

    async def list(self) -> list[Volume]:
        def work(db: sqlite3.Connection) -> list[Volume]:
            rows = db.execute(f"SELECT {ROW} FROM volumes ORDER BY name")
            return [volume for row in rows if (volume := self._read(row))]

        return await self._transact(work)

    async def delete(self, name: str) -> None:
        await self._transact(lambda db: db.execute("DELETE FROM volumes WHERE name = ?", (name,)))

    def _read(self, row: Row) -> Volume | None:
        """The volume of a row; None for one that cannot be read, which is logged once."""
        try:
            return parse(row)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            if row[2] not in self._told:
                self._told.add(row[2])
                why = str(error) or type(error).__name__
                logger.error(
                    "the record of the volume %s cannot be read: %s; its files are kept: create it again",
                    row[0],
                    why,
                )
            return None


def dump(volume: Volume) -> str:
    """The JSON text of a volume's row."""
    return json.dumps(dataclasses.asdict(volume), separators=(",", ":"), ensure_ascii=False)


def parse(row: Row) -> Volume:
    """Raises ValueError, TypeError, KeyError or RecursionError for anything but what ``dump`` wrote."""
    fields: Any = json.loads(row[2].decode())
    if not isinstance(fields, dict):
        raise ValueError("it is no object")
    volume = Volume(**fields)
    check_types(volume)
    if (volume.name, volume.created_at) != row[:2]:
        raise ValueError("it is the record of another volume")
    return volume
