"""Volumes: their names, their folders, and who may remove them when."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from linwin.engine import remove, volumes
from linwin.engine.engine import Engine
from linwin.engine.usage import tree_size
from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable, Unsupported
from linwin.model.container import ContainerSpec
from linwin.model.mount import ANONYMOUS_LABEL, Mount
from linwin.paths import Paths
from tests.scenario.fakes import Fakes
from tests.scenario.harness import IMAGE, make_root


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return make_root(tmp_path)


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def engine(fakes: Fakes, paths: Paths) -> AsyncIterator[Engine]:
    engine = Engine(fakes.rooms, paths)
    await engine.open()
    yield engine
    await engine.close()


def happened(engine: Engine) -> list[tuple[str, str]]:
    """The events of volumes."""
    follower = engine.events.follow(since=0, until=None)
    follower.close()
    return [(event.action, event.id) for event in follower._waiting if event.kind == "volume"]


async def user(engine: Engine, name: str, *mounts: Mount) -> str:
    """The id of a container that uses volumes."""
    return (await engine.create(ContainerSpec(IMAGE, mounts=mounts), name)).id


DATA = Mount("volume", "C:\\data", "data")


# Names


@pytest.mark.parametrize("name", ["ab", "data", "A.b_c-1", "0x", "a" * 255])
def test_names(name: str) -> None:
    volumes.check_name(name)


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("../x", "../x"),
        ("..", ".."),
        (".x", ".x"),
        ("a/b", "a/b"),
        ("C:\\x", "C:\\\\x"),
        ("a b", "a b"),
        ("dätä", "dätä"),
        ("ab\n", "ab\\n"),
    ],
)
def test_what_is_no_name(name: str, quoted: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        volumes.check_name(name)
    assert caught.value.message == (
        f'create {name}: "{quoted}" includes invalid characters for a local volume name, only '
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
    )


def test_names_that_are_too_short_or_too_long() -> None:
    with pytest.raises(InvalidRequest) as short:
        volumes.check_name("a")
    assert short.value.message == (
        "create a: volume name is too short, names should be at least two alphanumeric characters"
    )
    with pytest.raises(InvalidRequest) as long:
        volumes.check_name("a" * 256)
    assert (long.value.message, long.value.hint) == (
        f"create {'a' * 256}: volume name is too long",
        "Use at most 255 characters.",
    )


# Making them


async def test_a_volume_has_a_folder(engine: Engine, paths: Paths) -> None:
    old = os.umask(0o077)
    try:
        made = await engine.volumes.create("data", labels={"a": "b"})
    finally:
        os.umask(old)
    folder = paths.volume("data")
    modes = [one.stat().st_mode & 0o777 for one in (paths.volumes, folder.parent, folder)]
    assert modes == [0o711, 0o711, 0o755]
    (folder / "kept").touch()
    again = await engine.volumes.create("data", labels={"other": "label"})
    assert (again, made.anonymous, made.labels) == (made, False, {"a": "b"})
    assert (folder / "kept").exists()
    assert (await engine.volumes.find("data"), await engine.volumes.list()) == (made, [made])
    assert happened(engine) == [("create", "data")]


async def test_a_name_is_chosen(engine: Engine, paths: Paths) -> None:
    made = await engine.volumes.create("", labels={"a": "b"})
    assert len(made.name) == 64
    int(made.name, 16)
    assert (made.anonymous, made.labels) == (True, {"a": "b", ANONYMOUS_LABEL: ""})
    assert paths.volume(made.name).is_dir()


async def test_options_are_refused_by_name(engine: Engine) -> None:
    with pytest.raises(Unsupported) as caught:
        await engine.volumes.create("data", labels={}, options={"type": "nfs", "device": ":/x"})
    assert caught.value.message == "linwin does not support the volume option type, device"
    assert caught.value.hint == ("A volume is a folder of this host; mount another with -v /FOLDER:C:\\PATH.")


async def test_a_full_disk_leaves_no_record(engine: Engine, paths: Paths) -> None:
    paths.volumes.write_text("in the way")
    with pytest.raises(Unavailable) as caught:
        await engine.volumes.create("data", labels={})
    assert caught.value.message == f"create data: {paths.volumes}: File exists"
    assert caught.value.hint == "Check that the disk is writable and not full."
    assert (await engine.volumes.list(), happened(engine)) == ([], [])


async def test_a_daemon_that_died_between_record_and_folder_is_no_obstacle(
    engine: Engine, paths: Paths
) -> None:
    made = await engine.volumes.create("data", labels={})
    paths.volume("data").rmdir()
    assert await engine.volumes.create("data", labels={}) == made
    assert paths.volume("data").is_dir()


# Removing them


async def test_removing(engine: Engine, paths: Paths, tmp_path: Path) -> None:
    await engine.volumes.create("data", labels={})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (paths.volume("data") / "link").symlink_to(outside)
    (paths.volume("data") / "below").mkdir()
    await engine.volumes.remove("data", force=False)
    assert (list(paths.volumes.iterdir()), (outside / "kept").exists()) == ([], True)
    assert happened(engine) == [("create", "data"), ("destroy", "data")]
    with pytest.raises(NotFound) as caught:
        await engine.volumes.remove("data", force=False)
    assert caught.value.message == "get data: no such volume"
    await engine.volumes.remove("data", force=True)


async def test_what_is_in_use_stays(engine: Engine, paths: Paths) -> None:
    ids = [await user(engine, name, DATA) for name in ("one", "two")]
    with pytest.raises(Conflict) as caught:
        await engine.volumes.remove("data", force=True)
    found = [one.id for one in await engine.volumes.users("data")]
    assert sorted(found) == sorted(ids)
    assert caught.value.message == f"remove data: volume is in use - [{', '.join(found)}]"
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("Remove these first: linwin rm ")
    assert await engine.volumes.references() == {"data": 2}
    for name in ids:
        await engine.remove(name, volumes=True)
    await engine.volumes.remove("data", force=False)


async def test_a_link_in_a_folders_place_is_not_followed(
    engine: Engine, paths: Paths, tmp_path: Path
) -> None:
    await engine.volumes.create("data", labels={})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    paths.volume("data").rmdir()
    paths.volume("data").parent.rmdir()
    paths.volume("data").parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unavailable) as caught:
        await engine.volumes.remove("data", force=False)
    assert caught.value.message.startswith("remove data: ")
    assert caught.value.hint == ("Put right what keeps the file, then try again: linwin volume rm data")
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert [one.name for one in await engine.volumes.list()] == ["data"]


class Slow:
    """Deleting files: it has ``begun``, and ends when it ``may_end``."""

    def __init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        self.begun.set()
        await self.may_end.wait()


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow, delete, loop = Slow(), volumes._delete_tree, asyncio.get_running_loop()

    def wait(folder: Path) -> None:
        asyncio.run_coroutine_threadsafe(slow.wait(), loop).result(10)
        delete(folder)

    monkeypatch.setattr(volumes, "_delete_tree", wait)
    return slow


async def test_while_one_goes_nobody_gets_it_and_nobody_else_waits(engine: Engine, slow: Slow) -> None:
    await engine.volumes.create("data", labels={})
    going = asyncio.create_task(engine.volumes.remove("data", force=False))
    await slow.begun.wait()
    with pytest.raises(Conflict) as made:
        await engine.volumes.create("data", labels={})
    assert (made.value.message, made.value.hint) == (
        "create data: volume is being removed",
        "Try again in a moment.",
    )
    with pytest.raises(Conflict, match="create data: volume is being removed"):
        await user(engine, "box", DATA)
    with pytest.raises(Conflict) as removed:
        await engine.volumes.remove("data", force=False)
    assert (removed.value.message, removed.value.hint) == (
        "remove data: volume is being removed",
        "Somebody else was first.",
    )
    await user(engine, "box", dataclasses.replace(DATA, source="other"))
    slow.may_end.set()
    await going
    await engine.volumes.create("data", labels={})


async def test_a_volume_stays_that_a_container_is_being_given(engine: Engine, fakes: Fakes) -> None:
    await engine.volumes.create("data", labels={})
    async with engine.volumes.held():
        await engine.volumes.provide("data", {})
        removing = asyncio.create_task(engine.volumes.remove("data", force=False))
        await asyncio.sleep(0.05)
        assert not removing.done()
    await removing


# Pruning them


async def test_pruning(engine: Engine, paths: Paths) -> None:
    for name in ("named", "kept", "used"):
        await engine.volumes.create(name, labels={})
    nameless = await engine.volumes.create("", labels={})
    await user(engine, "box", dataclasses.replace(DATA, source="used"))
    (paths.volume(nameless.name) / "file").write_bytes(b"x" * 8192)
    size = tree_size(paths.volume(nameless.name))
    assert size >= 8192
    assert (await engine.volumes.usage())[nameless.name] == size
    assert await engine.volumes.prune(lambda _: False, everything=False) == ((nameless.name,), size)
    names, _ = await engine.volumes.prune(lambda volume: volume.name == "kept", everything=True)
    assert names == ("named",)
    assert [one.name for one in await engine.volumes.list()] == ["kept", "used"]
    assert happened(engine)[-2:] == [("destroy", "named"), ("prune", "")]


async def test_nothing_is_pruned_that_a_container_may_use_whose_record_is_lost(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    await engine.volumes.create("", labels={})
    lost = await user(engine, "lost")
    await engine.rooms.state.amend(lost, unreadable=True)
    assert await engine.volumes.prune(lambda _: False, everything=True) == ((), 0)
    assert f"is kept: container {lost[:12]} may use it, whose record cannot be read" in caplog.text


async def test_one_that_cannot_be_removed_saves_no_other(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delete = volumes._delete_tree

    def fail(folder: Path) -> None:
        if folder.name == "bad":
            raise OSError(16, "Device or resource busy", str(folder))
        delete(folder)

    monkeypatch.setattr(volumes, "_delete_tree", fail)
    await engine.volumes.create("bad", labels={})
    await engine.volumes.create("good", labels={})
    assert (await engine.volumes.prune(lambda _: False, everything=True))[0] == ("good",)
    assert "volume bad: it was not removed: remove bad: " in caplog.text


def test_what_a_tree_takes(tmp_path: Path) -> None:
    assert tree_size(tmp_path / "nothing") == 0
    empty = tree_size(tmp_path)
    (tmp_path / "file").write_bytes(b"x" * 8192)
    os.link(tmp_path / "file", tmp_path / "again")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(1 << 30)
    assert tree_size(tmp_path) == empty + 8192


# Those without a name


async def volumes_left(engine: Engine) -> int:
    return len(await engine.volumes.list())


async def test_volumes_without_a_name_go_with_their_container_where_that_is_asked_for(
    engine: Engine,
) -> None:
    for removed in (False, True):
        box = await user(
            engine, "box", Mount("volume", "C:\\data"), dataclasses.replace(DATA, target="C:\\n")
        )
        (mount, _) = (await engine.inspect("box")).mounts
        assert (len(mount.source), mount.target) == (64, "C:\\data")
        await engine.remove(box, volumes=removed)
    assert await volumes_left(engine) == 2  # the first nameless one, and data


async def test_a_nameless_volume_that_two_use_goes_with_the_last(engine: Engine) -> None:
    await user(engine, "one", Mount("volume", "C:\\data"))
    await engine.create(ContainerSpec(IMAGE, volumes_from=("one",)), "two")
    await engine.remove("one", volumes=True)
    assert await volumes_left(engine) == 1
    await engine.remove("two", volumes=True)
    assert await volumes_left(engine) == 0


async def test_who_names_a_nameless_volume_does_not_lose_it(engine: Engine) -> None:
    made = await engine.volumes.create("", labels={})
    await user(engine, "box", dataclasses.replace(DATA, source=made.name))
    await engine.remove("box", volumes=True)
    assert await engine.volumes.list() == [made]


async def test_auto_remove_takes_them_along(engine: Engine) -> None:
    spec = ContainerSpec(IMAGE, cmd=("nothing-here",), volumes=("C:\\data",), auto_remove=True)
    made = await engine.create(spec, "box")
    assert await volumes_left(engine) == 1
    await remove.auto_remove(engine, await engine.inspect(made.id))
    assert await volumes_left(engine) == 0


async def test_a_removal_that_a_dead_daemon_announced_is_finished_with_them(
    engine: Engine, fakes: Fakes, paths: Paths
) -> None:
    made = await engine.create(ContainerSpec(IMAGE, volumes=("C:\\data",), auto_remove=True), "box")
    await engine.rooms.state.advance(made.id, "removing")
    await Engine(fakes.rooms, paths).open()
    assert (await engine.list(), await volumes_left(engine)) == ([], 0)


async def test_a_volume_that_cannot_go_keeps_no_container(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await user(engine, "box", Mount("volume", "C:\\data"))

    def fail(folder: Path) -> None:
        raise OSError(16, "Device or resource busy", str(folder))

    monkeypatch.setattr(volumes, "_delete_tree", fail)
    await engine.remove("box", volumes=True)
    assert await engine.list() == []
    assert "Device or resource busy" in caplog.text


async def test_a_create_that_fails_takes_back_what_it_made(
    engine: Engine, fakes: Fakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.volumes.create("", labels={})

    async def full(*_: Any) -> None:
        raise Unavailable("the state database failed: database or disk is full")

    monkeypatch.setattr(fakes.state, "add", full)
    with pytest.raises(Unavailable, match="disk is full"):
        await user(engine, "box", Mount("volume", "C:\\nameless"), DATA)
    assert sorted(one.anonymous for one in await engine.volumes.list()) == [False, True]
