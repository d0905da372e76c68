"""Commits, exports and imports: what becomes of a container's files and of what it was told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Conflict, InvalidRequest, Unavailable
from linwin.model.build import CommitRequest
from linwin.model.container import ContainerSpec
from tests.scenario.builds import Builds
from tests.scenario.harness import Daemon


async def run(daemon: Daemon, name: str, *words: str, **more: Any) -> None:
    spec = ContainerSpec(image="microsoft/nanoserver", cmd=words, **more)
    await daemon.engine.create(spec, name)
    await daemon.engine.start(name)


async def test_commit_of_a_container_at_rest(build: Builds) -> None:
    engine = build.daemon.engine
    await run(build.daemon, "box", "store", "a.txt", "kept", env=("X=1",), working_dir="C:\\w")
    await (await engine.wait("box", "not-running"))
    image = await engine.commit(
        "box", CommitRequest("app:2", "me", "why", ('CMD ["a"]', "ENV Y=2", "LABEL l=m", "WORKDIR sub"))
    )
    await engine.remove("box")
    assert image.references == ("docker.io/library/app:2",)
    assert (image.author, image.history[-1].comment) == ("me", "why")
    assert image.history[-1].created_by == "store a.txt kept"
    assert image.config.cmd == ("a",)
    assert image.config.env[-2:] == ("X=1", "Y=2")
    assert (image.config.working_dir, image.config.labels["l"]) == ("C:\\sub", "m")
    assert await build.file(image, "a.txt") == "kept"


async def test_commit_of_a_container_that_runs(build: Builds) -> None:
    engine = build.daemon.engine
    await run(build.daemon, "box", "hang")
    guest = build.daemon.fakes.guests.last_guest
    guest.store("b.txt", "written")
    image = await engine.commit("box", CommitRequest())
    assert guest.flushed == 1
    assert (await engine.inspect("box")).status == "running"
    assert not guest.resting
    assert guest.clock
    await engine.remove("box", force=True)
    assert (image.references, image.config.cmd) == ((), ("hang",))
    assert await build.file(image, "b.txt") == "written"


async def test_commits_of_one_container_at_once(build: Builds) -> None:
    engine = build.daemon.engine
    await run(build.daemon, "box", "hang")
    guest = build.daemon.fakes.guests.last_guest
    guest.store("b.txt", "written")
    images = await asyncio.gather(*(engine.commit("box", CommitRequest()) for _ in range(4)))
    assert guest.flushed == 4
    folder = build.daemon.paths.container((await engine.inspect("box")).id)
    assert not list(folder.glob("snapshot-*"))
    await engine.remove("box", force=True)
    assert [await build.file(image, "b.txt") for image in images] == ["written"] * 4


async def test_a_guest_that_cannot_be_halted_is_not_taken_for_halted(
    build: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build.daemon.engine
    await run(build.daemon, "box", "hang")
    guest = build.daemon.fakes.guests.last_guest

    async def pause() -> None:
        raise Unavailable("the monitor does not answer")

    monkeypatch.setattr(guest.machine, "pause", pause)
    with pytest.raises(Unavailable, match="the monitor does not answer"):
        await engine.commit("box", CommitRequest())
    assert guest.flushed == 1
    assert not guest.resting
    await engine.remove("box", force=True)


async def test_commit_of_one_that_never_ran_and_of_one_that_is_paused(build: Builds) -> None:
    engine = build.daemon.engine
    await engine.create(ContainerSpec(image="microsoft/nanoserver", cmd=("echo",)), "new")
    image = await engine.commit("new", CommitRequest())
    assert image.history[-1].empty_layer
    await engine.remove("new")
    await run(build.daemon, "box", "hang")
    await engine.pause("box")
    with pytest.raises(Conflict) as caught:
        await engine.commit("box", CommitRequest())
    assert caught.value.message == "container box is paused, and cannot write out what it has in memory"
    await engine.remove("box", force=True)


async def test_export_and_import(build: Builds, tmp_path: Path) -> None:
    engine = build.daemon.engine
    await run(build.daemon, "box", "store", "dir\\a.txt", "carried")
    await (await engine.wait("box", "not-running"))
    async with engine.export("box") as archive:
        data = b"".join([piece async for piece in archive.pieces])
    await engine.remove("box")
    source = tmp_path / "export.tar"
    source.write_bytes(data)
    image = await engine.import_image(source, CommitRequest("back", message="m", changes=("CMD x",)), "")
    assert image.references == ("docker.io/library/back:latest",)
    assert image.config.cmd == ("cmd /S /C x",)
    assert image.history[-1].comment == "m"
    assert image.parent == (await engine.image("microsoft/nanoserver")).id
    assert await build.file(image, "dir\\a.txt") == "carried"
    with pytest.raises(InvalidRequest, match="none for linux"):
        await engine.import_image(source, CommitRequest(), "linux/amd64")
