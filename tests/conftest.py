"""What all tests share: orphans come to us, nothing may be left when a session ends, and who runs when."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import side_by_side
from tests.debian_programs import debian_program

PR_SET_CHILD_SUBREAPER = 36

# A busy host draws examples slowly and runs them slowly, which says nothing of what they test.
settings.register_profile(
    "linwin", deadline=timedelta(seconds=2), suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("linwin")


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
def no_process_left_behind() -> Iterator[None]:
    """No process outlives the tests that made it."""
    adopt_orphans()
    # Who is started in the background ignores it, and so would all that the tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = children().keys()
    yield
    left = {pid: line for pid, line in children().items() if pid not in before}
    assert left == {}


BEFORE = pytest.StashKey[tuple[set[str], set[str]]]()
"""Mounts and network links of the host when the session began."""


def pytest_sessionstart(session: pytest.Session) -> None:
    if not side_by_side.in_worker(session.config):
        session.stash[BEFORE] = (mounts(), links())


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No mount or network link outlives the session: they are the host's, so its first process looks."""
    if BEFORE not in session.stash:
        return
    left = [now - before for now, before in zip((mounts(), links()), session.stash[BEFORE], strict=True)]
    if any(left):
        session.config.hook.pytest_runtest_logreport(report=_left_behind(*left))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _left_behind(left_mounts: set[str], left_links: set[str]) -> pytest.TestReport:
    """An error like that of a fixture, which has no test that it belongs to."""
    return pytest.TestReport(
        nodeid="tests/conftest.py::nothing_left_behind",
        location=("tests/conftest.py", None, "nothing_left_behind"),
        keywords={},
        outcome="failed",
        longrepr=f"left behind: mounts {sorted(left_mounts)}, network links {sorted(left_links)}",
        when="teardown",
    )


@pytest.hookimpl(trylast=True)  # the folders have set their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if side_by_side.in_worker(config):
        items.sort(key=side_by_side.order)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test with all its fixtures, also those of a session that it is the first to need."""
    if not side_by_side.in_worker(item.config):
        return (yield)
    with side_by_side.turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture(scope="session")
def docker_client() -> str:
    """The stock docker client: the one on PATH, or Debian's."""
    return debian_program("docker.io", "docker")
