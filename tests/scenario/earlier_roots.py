"""Roots as earlier linwins left them: tests/corpus/roots, made usable in a folder of a test's own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from linwin.daemon import prepare_root
from linwin.paths import Paths

ROOTS = Path(__file__).parents[1] / "corpus" / "roots"


def unpack(name: str, folder: Path) -> Paths:
    """The root ``name``, as a daemon has prepared it before it opens anything."""
    paths = Paths(folder / "root", folder / "linwin.sock")
    shutil.copytree(ROOTS / name, paths.root)
    script = paths.root / "state.sql"
    with closing(sqlite3.connect(paths.database)) as database:
        database.executescript(script.read_text())
    script.unlink()
    prepare_root(paths)
    return paths


@contextmanager
def edited(paths: Paths) -> Iterator[sqlite3.Connection]:
    """The database of a root that no daemon serves."""
    with closing(sqlite3.connect(paths.database)) as database, database:
        yield database
