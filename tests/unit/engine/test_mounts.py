"""What a new container gets of what its user, other containers and its image ask for."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linwin.engine.engine import Engine
from linwin.errors import Conflict, InvalidRequest, NotFound, Unavailable
from linwin.model.container import ContainerSpec
from linwin.model.mount import Mount
from tests.scenario.fakes import Fakes
from tests.scenario.fakes.images import image_of
from tests.scenario.harness import make_root

IMAGE = "docker.io/team/data:1"
WHY = "sharing files needs root, and this daemon is not root"
HINT = "Leave out -v, --mount and --volumes-from, or see docs/volumes.md for what a host needs."


@pytest.fixture
def fakes() -> Fakes:
    return Fakes()


@pytest.fixture
async def engine(fakes: Fakes, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(fakes.rooms, make_root(tmp_path))
    await engine.open()
    store(fakes)
    yield engine
    await engine.close()


def store(fakes: Fakes, *volumes: str) -> None:
    """Have the image declare volumes."""
    image = image_of(IMAGE, ("echo",), ())
    fakes.images.stored.pop(image.id, None)
    fakes.images.store(dataclasses.replace(image, config=dataclasses.replace(image.config, volumes=volumes)))


async def mounts(engine: Engine, **spec: object) -> tuple[Mount, ...]:
    made = await engine.create(ContainerSpec(IMAGE, **spec), None)  # type: ignore[arg-type]
    return (await engine.inspect(made.id)).mounts


async def refused(engine: Engine, mount: Mount) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await mounts(engine, mounts=(mount,))
    assert (await engine.volumes.list(), await engine.list()) == ([], [])
    return caught.value


async def test_nothing_asked_for_is_nothing(engine: Engine) -> None:
    assert await mounts(engine) == ()


async def test_folders_files_volumes_and_memory(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.touch()
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    found = await mounts(
        engine,
        mounts=(
            Mount("bind", "c:/src", str(tmp_path), read_only=True, mode="ro"),
            Mount("bind", "C:\\file.txt", str(file)),
            Mount("bind", "C:\\link", str(link)),
            Mount("volume", "C:\\data", "data", labels={"a": "b"}),
            Mount("tmpfs", "D:\\", size=1 << 20),
        ),
    )
    assert [(one.kind, one.target, one.source) for one in found] == [
        ("bind", "C:\\src", str(tmp_path)),
        ("bind", "C:\\file.txt", str(file)),
        ("bind", "C:\\link", str(link)),
        ("volume", "C:\\data", "data"),
        ("tmpfs", "D:\\", ""),
    ]
    (volume,) = await engine.volumes.list()
    assert (volume.name, volume.labels, volume.anonymous) == ("data", {"a": "b"}, False)


async def test_sources_that_cannot_be(engine: Engine, tmp_path: Path) -> None:
    gone = await refused(engine, Mount("bind", "C:\\x", "/nowhere/at/all"))
    assert gone.message == (
        'invalid mount config for type "bind": bind source path does not exist: /nowhere/at/all'
    )
    assert gone.hint == "The path is one of the host that linwin's daemon runs on."
    (tmp_path / "file").touch()
    below = await refused(engine, Mount("bind", "C:\\x", f"{tmp_path}/file/below"))
    assert below.message.endswith(f"bind source path does not exist: {tmp_path}/file/below")
    with socket.socket(socket.AF_UNIX) as listening:
        folder = os.open(tmp_path, os.O_PATH)
        listening.bind(f"/proc/self/fd/{folder}/s")
        os.close(folder)
    special = await refused(engine, Mount("bind", "C:\\x", f"{tmp_path}/s"))
    assert special.message == (
        f'invalid mount config for type "bind": bind source path is neither a folder nor a file: {tmp_path}/s'
    )
    (tmp_path / "loop").symlink_to("loop")
    loop = await refused(engine, Mount("bind", "C:\\x", f"{tmp_path}/loop"))
    assert loop.message == (
        f'invalid mount config for type "bind": bind source path cannot be used: {tmp_path}/loop: '
        "Too many levels of symbolic links"
    )


async def test_places_and_names_that_cannot_be(engine: Engine) -> None:
    own = await refused(engine, Mount("volume", "C:\\windows\\temp", "data"))
    assert own.message == (
        'invalid mount config for type "volume": C:\\windows\\temp is Windows\' own, and nothing can be '
        "mounted there"
    )
    name = await refused(engine, Mount("volume", "C:\\x", "a"))
    assert name.message == (
        "create a: volume name is too short, names should be at least two alphanumeric characters"
    )
    with pytest.raises(InvalidRequest, match="Duplicate mount point: C:"):
        await mounts(engine, mounts=(Mount("tmpfs", "C:\\x"), Mount("volume", "c:\\X", "data")))


async def test_a_path_alone_gets_a_volume_unless_something_is_there(engine: Engine, fakes: Fakes) -> None:
    store(fakes, "/data", "c:\\logs", "C:\\cache")
    data = Mount("volume", "C:\\Data", "mine")
    found = await mounts(engine, mounts=(data,), volumes=("C:\\logs", "C:\\data"))
    assert found[0] == data
    assert [one.target for one in found] == ["C:\\Data", "C:\\logs", "C:\\cache"]
    names = {one.source for one in found[1:]}
    assert {one.name for one in await engine.volumes.list() if one.anonymous} == names
    assert len(names) == 2


async def test_the_image_keeps_no_container_from_being_made(engine: Engine, fakes: Fakes) -> None:
    store(fakes, "C:\\Windows\\Temp", "C:\\data")
    made = await engine.create(ContainerSpec(IMAGE), "box")
    assert made.warnings == (
        "no volume is made at C:\\Windows\\Temp, where the image wants one: C:\\Windows\\Temp is Windows' "
        "own, and nothing can be mounted there",
    )
    assert [one.target for one in (await engine.inspect("box")).mounts] == ["C:\\data"]


# Other containers


async def test_mounts_of_other_containers(engine: Engine, tmp_path: Path) -> None:
    first = (Mount("bind", "C:\\src", str(tmp_path), mode="rw"), Mount("volume", "C:\\data", "data"))
    await engine.create(ContainerSpec(IMAGE, mounts=first), "first")
    await engine.create(ContainerSpec(IMAGE, mounts=(Mount("volume", "C:\\DATA", "late"),)), "second")
    own = Mount("tmpfs", "C:\\Src")
    found = await mounts(engine, mounts=(own,), volumes_from=("first:ro", "second"))
    assert found == (own, Mount("volume", "C:\\DATA", "late", copy=False))
    found = await mounts(engine, volumes_from=("first:ro",))
    assert found == (
        Mount("bind", "C:\\src", str(tmp_path), read_only=True, copy=False),
        Mount("volume", "C:\\data", "data", read_only=True, copy=False),
    )
    assert not any(one.read_only for one in await mounts(engine, volumes_from=("first:rw",)))


async def test_containers_without_mounts_to_give(engine: Engine) -> None:
    with pytest.raises(NotFound) as caught:
        await mounts(engine, volumes_from=("nobody:ro",))
    assert caught.value.message == "No such container: nobody"
    lost = await engine.create(ContainerSpec(IMAGE), "lost")
    await engine.rooms.state.amend(lost.id, unreadable=True, error="its record cannot be read: it is torn")
    with pytest.raises(Conflict, match='container "/lost" is dead: its record cannot be read: it is torn'):
        await mounts(engine, volumes_from=("lost",))


# Hosts that can share no files


@pytest.mark.parametrize(
    "spec",
    [
        {"mounts": (Mount("volume", "C:\\data", "data"),)},
        {"mounts": (Mount("bind", "C:\\data", "/"),)},
        {"volumes": ("C:\\data",)},
    ],
)
async def test_a_host_without_a_file_server_says_so(
    engine: Engine, fakes: Fakes, spec: dict[str, object]
) -> None:
    fakes.shares.why_not = WHY
    with pytest.raises(Unavailable) as caught:
        await mounts(engine, **spec)
    assert (caught.value.message, caught.value.hint) == (WHY, HINT)
    assert await engine.volumes.list() == []


async def test_a_host_without_a_file_server_runs_what_needs_none(engine: Engine, fakes: Fakes) -> None:
    fakes.shares.why_not = WHY
    store(fakes, "C:\\data", "C:\\logs")
    memory = Mount("tmpfs", "C:\\Data")
    made = await engine.create(ContainerSpec(IMAGE, mounts=(memory,)), "box")
    assert made.warnings == (f"no volume is made at C:\\logs, where the image wants one: {WHY}",)
    assert (await engine.inspect("box")).mounts == (memory,)
    assert await engine.volumes.list() == []
