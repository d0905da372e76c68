"""Loads that do not come to their end: cancelled, killed, out of space."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.images import ImageStore
from linwin.model.progress import Progress
from linwin.paths import Paths
from tests.unit.images.archive_writer import NANOSERVER, Sample, ignore, layer_tar, sha256, template, write

ONE = layer_tar({"one.bin": random.Random(1).randbytes(3 << 20)})
TWO = layer_tar({"two.bin": random.Random(2).randbytes(3 << 20)})
KILLS = 20


async def test_a_cancelled_load_stops_and_leaves_nothing(
    paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None]
) -> None:
    store = ImageStore(paths)
    archive = write(tmp_path / "a.tar", Sample([ONE, TWO]).docker_members(), "gzip")
    begun = asyncio.get_running_loop().create_future()

    def told(progress: Progress) -> None:
        if not begun.done():
            begun.set_result(None)

    loading = asyncio.create_task(store.stage(archive, [template()], told))
    await asyncio.wait({loading, begun}, return_when=asyncio.FIRST_COMPLETED)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    nothing_stored()


async def test_a_load_cancelled_as_it_ends_leaves_nothing(
    paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread finished, but its result was never taken."""
    from linwin.images import store as module

    finished, cancelled = threading.Event(), threading.Event()
    real = module.stage_archive

    def late(*arguments: object) -> object:
        drafts = real(*arguments)  # type: ignore[arg-type]
        finished.set()
        assert cancelled.wait(10)
        return drafts

    monkeypatch.setattr(module, "stage_archive", late)
    store = ImageStore(paths)
    loading = asyncio.create_task(
        store.stage(write(tmp_path / "a.tar", Sample([ONE]).docker_members()), [template()], ignore)
    )
    assert await asyncio.to_thread(finished.wait, 10)
    loading.cancel()
    await asyncio.sleep(0)  # let the cancellation arrive before the thread returns
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await loading
    nothing_stored()


async def test_a_cancelled_commit_is_whole(paths: Paths, tmp_path: Path) -> None:
    store = ImageStore(paths)
    sample = Sample([ONE], tags=["a:1"])
    [staged] = await store.stage(write(tmp_path / "a.tar", sample.docker_members()), [template()], ignore)
    committing = asyncio.create_task(staged.commit())
    await asyncio.sleep(0)  # the commit begins
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    await store.tag(sample.id, "b:1")  # waits for its turn behind the commit
    assert [image.id for image in await ImageStore(paths).list()] == [sample.id]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "linwin-test", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def fill(path: Path) -> None:
    """Write a file that takes all the space there is."""
    path.write_bytes(bytes(shutil.disk_usage(path.parent).free))


@pytest.mark.root
async def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    paths = Paths(small_disk, tmp_path / "socket")
    store = ImageStore(paths)
    archive = write(tmp_path / "app.tar", Sample([ONE, TWO]).docker_members())
    with pytest.raises(Unavailable) as caught:
        await store.stage(archive, [template()], ignore)
    what = f"layer 2 of image example/app:1.0 ({sha256(TWO)})"
    assert caught.value.message == f"no space left on device while storing {what}"
    assert caught.value.hint == "Free some space, or remove images with: linwin rmi IMAGE"
    assert files(small_disk) == [paths.image_index]
    small = layer_tar({"small.txt": b"x"})
    await store.stage(write(tmp_path / "b.tar", Sample([small]).docker_members()), [template()], ignore)


@pytest.mark.root
@pytest.mark.parametrize("outer", ["gzip", "zstd", "xz"])
async def test_an_archive_that_expands_without_end(small_disk: Path, tmp_path: Path, outer: str) -> None:
    paths = Paths(small_disk, tmp_path / "socket")
    store = ImageStore(paths)
    # Sixteen times the disk; to pack more of it would cost this test half a minute.
    archive = write(tmp_path / "bomb.tar", {"zeros": bytes(64 << 20)}, outer)
    free = shutil.disk_usage(small_disk).free
    with pytest.raises(Unavailable) as caught:
        await store.stage(archive, [template()], ignore)
    assert caught.value.message == f"the archive expands to more than half of the {free} bytes that are free"
    assert caught.value.hint == (
        "While it is loaded it is there twice. Free some space, or remove images with: linwin rmi IMAGE"
    )
    assert files(small_disk) == [paths.image_index]


@pytest.mark.root
async def test_a_disk_that_fills_while_an_archive_is_unpacked(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else took the space that there was when the load began."""
    paths = Paths(small_disk, tmp_path / "socket")
    store = ImageStore(paths)
    archive = write(tmp_path / "a.tar", Sample([ONE, TWO]).docker_members(), "gzip")
    fill(small_disk / "filler")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, 1 << 40))
    with pytest.raises(Unavailable) as caught:
        await store.stage(archive, [template()], ignore)
    assert caught.value.message == "no space left on device while storing the archive"


@pytest.mark.root
async def test_a_disk_that_fills_at_the_commit(small_disk: Path, tmp_path: Path) -> None:
    paths = Paths(small_disk, tmp_path / "socket")
    store = ImageStore(paths)
    archive = write(tmp_path / "app.tar", Sample([ONE]).docker_members())
    [staged] = await store.stage(archive, [template()], ignore)
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(Unavailable) as caught:
        await staged.commit()
    assert caught.value.message.startswith("no space left on device while storing ")
    await staged.discard()
    assert files(small_disk) == [filler, paths.image_index]
    assert await store.list() == []


CHURN = """
import asyncio, sys
from pathlib import Path
from tests.unit.images.archive_writer import template
from linwin.images import ImageStore
from linwin.paths import Paths

async def main(root, *archives):
    store = ImageStore(Paths(Path(root), Path(root) / "socket"))
    await store.adopt_base_images([template()])
    print("ready", flush=True)
    while True:
        for archive in archives:
            [staged] = await store.stage(Path(archive), [template()], lambda progress: None)
            image = await staged.commit()
            await store.tag(image.id, "moving")
        for image in await store.list():
            if image.template is None:
                await store.remove(image.id, force=True, in_use=frozenset())

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_store_survives_being_killed_at_any_point(paths: Paths, tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    layers = [layer_tar({f"{number}.bin": dice.randbytes(300_000)}) for number in range(3)]
    samples = [
        Sample(layers[:2], tags=["a:1"]),
        Sample(layers, tags=["b:1"], compression="gzip"),
        Sample(layers[1:], tags=["a:1", "c:1"]),
    ]
    archives = [
        str(write(tmp_path / f"{number}.tar", sample.docker_members() if number else sample.oci_members()))
        for number, sample in enumerate(samples)
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", CHURN, str(paths.root), *archives], stdout=subprocess.PIPE, env=environment
        ) as churn:
            assert churn.stdout is not None
            assert churn.stdout.readline() == b"ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                churn.wait(timeout=dice.uniform(0, 0.25))
            churn.kill()
        asyncio.run(_check_whole(paths, {sample.id for sample in samples}))


async def _check_whole(paths: Paths, possible: set[str]) -> None:
    for unfinished in paths.scratch.iterdir():  # as the daemon does when it starts
        unfinished.unlink()
    store = ImageStore(paths)
    await store.adopt_base_images([template()])
    images = await store.list()
    named: list[str] = []
    needed: set[str] = set()
    for image in images:
        named += image.references
        needed |= {image.id, *(layer.digest for layer in image.layers)}
        assert image.template or image.id in possible
        assert all(sha256(layer.blob.read_bytes()) == layer.digest for layer in image.layers)
        needed |= {digest.partition("@")[2] for digest in image.digests}
    assert len(named) == len(set(named))
    assert (await store.resolve(NANOSERVER)).template == "wine"
    stored = {f"sha256:{path.name}" for path in (paths.blobs / "sha256").iterdir()}
    assert needed - stored == set()
    extra = stored - needed  # manifests of images whose name moved on, which have no digests to show
    assert all(
        (paths.blobs / "sha256" / digest[7:]).read_bytes().startswith(b'{"schemaVersion"') for digest in extra
    )
