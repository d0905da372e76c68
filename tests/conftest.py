"""What all tests share: orphans come to us, and nothing may be left when a session ends."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.debian_programs import debian_program

PR_SET_CHILD_SUBREAPER = 36


def children() -> dict[int, str]:
    """Our children, adopted orphans included, each with its command line; zombies are reaped first."""
    for pid in _child_pids():
        stat = Path(f"/proc/{pid}/stat").read_text()
        if stat.rpartition(")")[2].split()[0] == "Z":
            os.waitpid(pid, 0)
    return {
        pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for pid in _child_pids()
    }


def _child_pids() -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{os.getpid()}/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue  # the thread ended while we looked; its children are another's now
    return found


def mounts() -> set[str]:
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def links() -> set[str]:
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def adopt_orphans() -> None:
    """Become the parent of whatever our descendants leave behind."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No process, mount or network link outlives the tests that made it."""
    adopt_orphans()
    # Who is started in the background ignores it, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = (children().keys(), mounts(), links())
    yield
    left = {pid: line for pid, line in children().items() if pid not in before[0]}
    assert left == {}
    assert mounts() - before[1] == set()
    assert links() - before[2] == set()


@pytest.fixture(scope="session")
def docker_client() -> str:
    """The stock docker client: the one on PATH, or Debian's."""
    return debian_program("docker.io", "docker")
