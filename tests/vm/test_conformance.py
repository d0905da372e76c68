"""The conformance suite in a guest: the Linux build as its process 1, the Windows build beside it.

The Windows build is a Windows program of that guest, with a virtio-serial port of
its own. What the suite asks for is in tests/conformance.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linwin.guest import AgentGuest
from tests.conformance import test_processes, test_sessions, test_streams, test_terminals
from tests.conformance.conftest import subjects as subjects
from tests.conformance.machines import Guest, booted
from tests.conformance.targets import Target
from tests.vm.conftest import Linwin

LEFT_OUT = {
    "test_hundreds_of_execs_leave_nothing_in_the_agent": "minutes under emulation; the agents are the same",
    "test_a_silent_host_is_asked_for_a_sign_of_life": "half a minute in which nothing happens",
}
SUITE = {
    name: test
    for module in (test_processes, test_sessions, test_streams, test_terminals)
    for name, test in vars(module).items()
    if name.startswith("test_") and name not in LEFT_OUT
}
globals().update(SUITE)


@pytest.fixture(scope="module")
def bare_guest(
    shared_daemon: Linwin, tmp_path_factory: pytest.TempPathFactory, subjects: dict[str, Path]
) -> Iterator[Guest]:
    with booted(shared_daemon, tmp_path_factory.mktemp("guest"), subjects["windows"]) as guest:
        yield guest


@pytest.fixture(params=["wine", "windows"])
async def target(request: pytest.FixtureRequest, bare_guest: Guest) -> Target:
    """Each build of the agent in turn, in one guest."""
    return bare_guest.target(request.param)


@pytest.fixture
async def guest(target: Target) -> AsyncIterator[AgentGuest]:
    """A session with the target's agent."""
    guest = await target.connect()
    yield guest
    await guest.close()
