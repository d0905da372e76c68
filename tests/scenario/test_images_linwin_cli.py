"""linwin's own command line on images: registries, files, upkeep."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.model.upkeep import Finding
from tests.scenario.fakes.disks import disk_of
from tests.scenario.fakes.images import archive
from tests.scenario.fakes.registry import Content, FakeRegistry
from tests.scenario.harness import Daemon
from tests.scenario.test_linwin_cli import Linwin, linwin

__all__ = ["linwin"]


@pytest.fixture
def registry(daemon: Daemon) -> FakeRegistry:
    registry = daemon.fakes.images.registry
    registry.content["docker.io/team/app:1"] = Content(layers=(3000,), saved=253_400_000)
    return registry


async def test_pull_run_push(linwin: Linwin, registry: FakeRegistry) -> None:
    pulled = await linwin("pull", "team/app:1")
    assert pulled.code == 0
    assert b"linwin: 253 MB of base layers not downloaded: template wine provides them\n" in pulled.out
    assert b"Status: Downloaded newer image for team/app:1\n" in pulled.out
    assert (await linwin("run", "--rm", "team/app:1")).out == b"pulled\n"
    await linwin("tag", "team/app:1", "team/new:2")
    pushed = await linwin("push", "team/new:2")
    digest = registry.content["docker.io/team/new:2"].digest
    assert pushed.code == 0
    assert f"2: digest: {digest} size: 1234\n".encode() in pushed.out


async def test_run_pulls_what_is_missing(linwin: Linwin, registry: FakeRegistry) -> None:
    done = await linwin("run", "--rm", "team/app:1")
    assert (done.code, done.out) == (0, b"pulled\n")


async def test_login_and_logout(linwin: Linwin, registry: FakeRegistry) -> None:
    registry.private.add("docker.io/team/app")
    assert (await linwin("pull", "team/app:1")).code == 1
    wrong = await linwin("login", "-u", "me", "--password-stdin", stdin=b"guess")
    assert wrong.code == 1
    assert b"failed with status: 401 Unauthorized" in wrong.err
    assert (await linwin("login", "-u", "me", "--password-stdin", stdin=b"secret")).code == 0
    assert (await linwin("pull", "team/app:1")).code == 0
    await linwin("logout")
    assert (await linwin("pull", "team/app:1")).code == 1


async def test_files(linwin: Linwin, daemon: Daemon, tmp_path: Path) -> None:
    await linwin("load", stdin=archive("team/app:1", layers=[30]))
    saved, disk = tmp_path / "app.tar", tmp_path / "app.qcow2"
    assert (await linwin("save", "-o", str(saved), "team/app:1")).code == 0
    await linwin("rmi", "team/app:1")
    assert (await linwin("load", "-i", str(saved))).out.endswith(b"Loaded image: team/app:1\n")
    assert (await linwin("image", "disk", "-o", str(disk), "team/app:1")).code == 0
    (chain_end,) = (chain for chain, parent in daemon.fakes.disks.chains.items() if parent)
    assert disk.read_bytes() == disk_of(chain_end)


async def test_upkeep(linwin: Linwin, daemon: Daemon) -> None:
    await linwin("load", stdin=archive("team/app:1", layers=[40_000]))
    await linwin("run", "--name", "over", "team/app:1")
    assert b"8.192kB" in (await linwin("system", "df")).out
    assert (await linwin("system", "check")).code == 0
    daemon.fakes.disks.faults = [Finding("chain 12ab", "is damaged", "Delete it")]
    found = await linwin("system", "check")
    assert found.code == 1
    assert b"chain 12ab is damaged\n" in found.out
    assert (await linwin("system", "check", "--repair")).code == 0
    assert b"Deleted Containers:\n" in (await linwin("container", "prune", "-f")).out
    pruned = await linwin("image", "prune", "-a", "-f")
    assert b"untagged: team/app:1\n" in pruned.out
    assert b"Total reclaimed space: 50kB\n" in pruned.out
    assert await daemon.nothing_left()
