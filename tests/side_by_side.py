"""Tests in several processes at once (pytest-xdist): which come first, and which run alone.

A test that is marked ``alone`` measures something, depends on when things happen, or looks at
the whole host: while it runs, the other processes run none. Without pytest-xdist there is one
process, and nothing of this is needed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Folders, since they are there: what is locked belongs to this checkout, and nothing has to be removed.
QUEUE = HERE / "unit"
MACHINE = HERE


def in_worker(config: pytest.Config) -> bool:
    """Whether this process is one of several."""
    return hasattr(config, "workerinput")


def order(item: pytest.Item) -> int:
    """Long files first, short ones to fill up with, and last those for which others would have to wait."""
    if item.get_closest_marker("alone"):
        return 2
    return 0 if item.get_closest_marker("vm") else 1


@contextmanager
def turn(alone: bool, queue_at: Path = QUEUE, machine_at: Path = MACHINE) -> Iterator[None]:
    """Have the machine, with others or alone. Nobody overtakes who waits to be alone."""
    with _opened(queue_at) as queue, _opened(machine_at) as machine:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(machine, fcntl.LOCK_UN)  # a child may still have the file


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)
