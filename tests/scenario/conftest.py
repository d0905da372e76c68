"""A daemon in the test's own process: the real engine and API over a real socket, with fake rooms."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker as sdk  # type: ignore[import-untyped]
import pytest

from tests.scenario.docker_py import off_loop
from tests.scenario.fakes import Fakes
from tests.scenario.harness import Daemon, Docker, make_root, served
from tests.scenario.raw_http import RawConnection


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for any client's socket address."""
    folder = Path(tempfile.mkdtemp(prefix="linwin-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
async def daemon(short_folder: Path) -> AsyncIterator[Daemon]:
    paths = make_root(short_folder)
    fakes = Fakes()
    async with served(fakes, paths) as daemon:
        yield daemon
        for container in await daemon.engine.list():
            await daemon.engine.remove(container.id, force=True)
    assert not fakes.machines.running, "a machine was left running"


@pytest.fixture
def docker(daemon: Daemon, docker_client: str, short_folder: Path) -> Docker:
    return Docker(docker_client, daemon.host, short_folder)


@pytest.fixture
async def python(daemon: Daemon) -> AsyncIterator[Any]:
    """docker-py's client."""
    client = await off_loop(lambda: sdk.DockerClient(base_url=daemon.host, timeout=20))
    yield client
    await off_loop(client.close)
    gc.collect()


@pytest.fixture
async def connection(daemon: Daemon) -> AsyncIterator[RawConnection]:
    opened = await RawConnection.open(daemon.paths.socket)
    yield opened
    await opened.close()
