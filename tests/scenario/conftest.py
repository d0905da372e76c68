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

from tests import side_by_side
from tests.scenario import api_description, proofs
from tests.scenario.builds import Builds
from tests.scenario.docker_py import off_loop
from tests.scenario.fakes import Fakes
from tests.scenario.harness import Daemon, Docker, make_root, served
from tests.scenario.raw_http import RawConnection
from tests.scenario.witness import Witness


@pytest.fixture(scope="session")
def description() -> api_description.Description:
    path = api_description.find()
    if path is None:
        pytest.skip("docker's API description is not here; set LINWIN_API_SPEC to v1.50.yaml")
    return api_description.Description(path)


@pytest.fixture(scope="session")
def known_description(request: pytest.FixtureRequest) -> api_description.Description | None:
    """The same for what is tested with or without it."""
    found: api_description.Description | None = (
        request.getfixturevalue("description") if api_description.find() else None
    )
    return found


@pytest.fixture(scope="session")
def proof_recorder(pytestconfig: pytest.Config) -> Iterator[proofs.Recorder]:
    if proofs.WRITING and side_by_side.in_worker(pytestconfig):
        pytest.exit("proofs.tsv is written by a process that sees all scenario tests: add -n 0")
    recorder = proofs.Recorder()
    yield recorder
    if proofs.WRITING:
        recorder.write()


@pytest.fixture(autouse=True)
def witness(
    known_description: api_description.Description | None,
    proof_recorder: proofs.Recorder,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Witness | None]:
    """Sees every answer of the test, and lets none pass that docker would not have given.

    What docs/api-coverage.md says that the test proves, it has to have seen.
    """
    if known_description is None:
        yield None
        return
    witness = Witness(known_description)
    witness.watch(monkeypatch)
    yield witness
    assert not witness.complaints, "\n\n".join(witness.complaints)
    proof_recorder.saw(request.node.nodeid, witness.seen)
    if witness.seen and not proofs.WRITING:  # a test that was skipped has seen nothing
        promised = {route for route, test in proofs.load().items() if test == request.node.nodeid}
        assert promised <= proofs.proved(witness.seen)


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


@pytest.fixture
async def build(daemon: Daemon) -> AsyncIterator[Builds]:
    """Builds, of which nothing is left but images."""
    yield Builds(daemon)
    assert await daemon.engine.list() == []
    assert list(daemon.paths.scratch.iterdir()) == []
    assert +daemon.engine.building == {}
