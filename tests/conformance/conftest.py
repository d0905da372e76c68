"""One suite of behaviours for every build of the agent (docs/windows-agent.md)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from linwin.guest import AgentGuest
from tests.cgroups import cgroup as cgroup

from .targets import AGENTS, Target, elsewhere, native, under_wine
from .wine import Wine, wine, wine_loader

HERE = Path(__file__).parent
GO = Path(sys.executable).parent / "go"
GO_ENVIRONMENT = {"GOARCH": "amd64", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}


@pytest.fixture(scope="session")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The suite's own program, by the system it is for."""
    if not GO.exists():
        pytest.skip("there is no Go compiler: scripts/setup installs one into .venv")
    folder = tmp_path_factory.mktemp("subject")
    made = {"linux": folder / "subject", "windows": folder / "subject.exe"}
    for system, path in made.items():
        environment = {**os.environ, **GO_ENVIRONMENT, "GOOS": system}
        subprocess.run(
            [GO, "build", "-trimpath", "-ldflags=-s -w", "-o", path, "."],
            cwd=HERE / "subject", env=environment, check=True,
        )  # fmt: skip
    return made


@pytest.fixture(scope="session")
def shared_wine(tmp_path_factory: pytest.TempPathFactory, subjects: dict[str, Path]) -> Iterator[Wine]:
    """Wine, with the suite's program on its C: drive."""
    loader = wine_loader()
    if loader is None:
        pytest.skip("Wine is not installed: scripts/setup --test installs Debian's wine64")
    with wine(loader, tmp_path_factory.mktemp("wine") / "prefix") as running:
        shutil.copy(subjects["windows"], running.drive / "subject.exe")
        (running.drive / "conformance").mkdir()
        # Wine ends its services with the last program, and starts them anew for the next.
        with subprocess.Popen(
            [running.loader, "C:\\subject.exe", "sleep"],
            env=running.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        ) as keeper:  # fmt: skip
            yield running
            keeper.kill()


ELSEWHERE = os.environ.get("LINWIN_CONFORMANCE_AGENT")
"""HOST:PORT of an agent on a Windows machine; then it is all that is tested."""


@pytest.fixture(params=["elsewhere"] if ELSEWHERE else ["linux", "windows"])
async def target(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Target]:
    """Each build of the agent in turn."""
    if not (AGENTS / "linwin-agent.exe").exists():
        pytest.skip("the agent is not built: scripts/build-agent")
    if ELSEWHERE:
        async with elsewhere(tmp_path, ELSEWHERE) as made:
            yield made
    elif request.param == "linux":
        subject = request.getfixturevalue("subjects")["linux"]
        async with native(tmp_path, request.getfixturevalue("cgroup"), subject) as made:
            yield made
    else:
        async with under_wine(tmp_path, request.getfixturevalue("shared_wine")) as made:
            yield made


@pytest.fixture
async def guest(target: Target) -> AsyncIterator[AgentGuest]:
    """A session with the target's agent."""
    guest = await target.connect()
    yield guest
    await guest.close()
