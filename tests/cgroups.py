"""Control groups of a test's own, for the agents that it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A folder of cgroup2 to make groups in."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    folders = [Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"]
    if not folders or not os.access(folders[0], os.W_OK):
        pytest.skip("no cgroup2 file system that this user may write to")
    folder = folders[0] / f"linwin-test-{os.getpid()}"
    folder.mkdir()
    yield folder
    for group in folder.glob("linwin-*"):
        (group / "cgroup.kill").write_text("1")
        while "populated 1" in (group / "cgroup.events").read_text():
            pass
        group.rmdir()
    folder.rmdir()
