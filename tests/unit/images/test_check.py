"""Blobs that the disk, or somebody, has damaged: found, told, moved aside, and healed by the next load."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.images import ImageStore, catalogue
from linwin.images.blobs import BlobStore
from linwin.model.progress import Progress
from linwin.model.upkeep import Finding
from linwin.paths import Paths
from tests.unit.images.archive_writer import (
    NANOSERVER,
    Sample,
    hex_of,
    ignore,
    layer_tar,
    sha256,
    template,
    write,
)
from tests.unit.images.damage import AGAIN, DELETE, NOBODY, ONE, TWO, blob, check, damage, fault, load


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    return ImageStore(paths)


# A store that is well


@pytest.mark.parametrize("form", ["docker", "oci"])
@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
async def test_a_whole_store_has_no_faults(
    store: ImageStore, paths: Paths, tmp_path: Path, form: str, compression: str | None
) -> None:
    await store.adopt_base_images([template()])
    await load(store, tmp_path, Sample([ONE, TWO], compression=compression), form)
    await load(store, tmp_path, Sample([TWO, ONE], tags=["b:1"], compression=compression), form)
    assert await check(store) == []
    assert await check(store, repair=True) == []
    again = ImageStore(paths)
    await again.adopt_base_images([template()])
    assert await check(again, repair=True) == []
    assert len(await again.list()) == 3


async def test_an_empty_store_has_no_faults(store: ImageStore) -> None:
    assert await check(store) == []


async def test_progress_counts_bytes(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([layer_tar({"large.bin": bytes(3 << 20)})]))
    told: list[Progress] = []
    await store.check(told.append, repair=False)
    total = sum(path.stat().st_size for path in (paths.blobs / "sha256").iterdir())
    assert {(line.status, line.id, line.total) for line in told} == {("Checking blobs", "blobs", total)}
    counts = [line.current or 0 for line in told]
    assert counts == sorted(counts)
    assert counts[-1] > 3 << 20


async def test_a_cancelled_check_ends_its_threads(store: ImageStore, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([layer_tar({"large.bin": bytes(4 << 20)})], compression="gzip"))
    begun = asyncio.get_running_loop().create_future()

    def told(progress: Progress) -> None:
        if not begun.done():
            begun.set_result(None)

    checking = asyncio.create_task(store.check(told, repair=False))
    await asyncio.wait({checking, begun}, return_when=asyncio.FIRST_COMPLETED)
    checking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await checking
    assert await check(store) == []


async def test_loads_and_removals_go_on_during_a_check(store: ImageStore, tmp_path: Path) -> None:
    large = Sample([layer_tar({"large.bin": os.urandom(8 << 20)})], tags=["large:1"])
    await load(store, tmp_path, large)

    async def churn() -> None:
        for turn in range(6):
            await load(store, tmp_path, Sample([ONE, TWO][turn % 2 :], tags=["small:1"]))
            await store.remove("small:1", force=True, in_use=NOBODY)

    checks = await asyncio.gather(*(check(store) for _ in range(4)), churn())
    assert checks == [[], [], [], [], None]


async def test_a_blob_that_arrives_while_the_store_is_looked_at_is_no_stray(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arriving = store.blobs.lease()
    digests = BlobStore.digests

    def then_one_more(blobs: BlobStore) -> set[str]:
        found = digests(blobs)
        if not blobs._lock.locked():
            arriving.add(os.urandom(9), "a blob")
        return found

    monkeypatch.setattr(BlobStore, "digests", then_one_more)
    assert await check(store) == []


# Blobs


async def test_a_corrupt_layer(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE, TWO]))
    path = blob(paths, sha256(TWO))
    damage(path)
    found = sha256(path.read_bytes())
    what = f"is corrupt: its content has the digest {found}; image example/app:1.0 needs it"
    assert await check(store) == [Finding(f"blob {sha256(TWO)}", what, AGAIN)]
    assert path.exists()  # a check alone touches nothing
    aside = paths.images_aside / hex_of(TWO)
    assert await check(store, repair=True) == [
        Finding(f"blob {sha256(TWO)}", f"{what}; it was moved to {aside}", AGAIN)
    ]
    assert sha256(aside.read_bytes()) == found
    for opened in (store, ImageStore(paths)):
        missing = Finding(f"blob {sha256(TWO)}", "is missing; image example/app:1.0 needs it", AGAIN)
        assert await check(opened) == [missing]
    await load(store, tmp_path, Sample([ONE, TWO]))
    assert await check(store) == []
    assert path.read_bytes() == TWO
    assert list(paths.images_aside.iterdir()) == []


async def test_a_load_replaces_a_corrupt_blob_that_nobody_noticed(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    image = await load(store, tmp_path, Sample([ONE, TWO]))
    damage(blob(paths, sha256(ONE)))
    damage(blob(paths, image.id), b"{}")
    await load(store, tmp_path, Sample([ONE, TWO]))
    assert await check(store) == []


async def test_a_corrupt_blob_counts_as_absent(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE]))
    assert store.blobs.holds(sha256(ONE), len(ONE))
    assert not store.blobs.holds(sha256(ONE), len(ONE) + 1)
    damage(blob(paths, sha256(ONE)))
    await check(store)
    assert not store.blobs.holds(sha256(ONE), len(ONE))
    await load(store, tmp_path, Sample([ONE]))
    assert store.blobs.holds(sha256(ONE), len(ONE))


async def test_another_form_of_the_image_takes_the_place_of_one_that_lost_a_blob(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    await load(store, tmp_path, Sample([ONE], compression="gzip"))
    [lost] = (await store.resolve("example/app:1.0")).layers
    lost.blob.unlink()
    image = await load(store, tmp_path, Sample([ONE]))
    assert [layer.digest for layer in image.layers] == [sha256(ONE)]
    assert await check(store) == []


async def test_a_missing_layer_of_many_images(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    for number in range(5):
        await load(
            store, tmp_path, Sample([ONE], tags=[f"app:{number}"], created=f"202{number}-01-01T00:00:00Z")
        )
    blob(paths, sha256(ONE)).unlink()
    for repair in (False, True):
        assert await check(store, repair=repair) == [
            Finding(
                f"blob {sha256(ONE)}",
                "is missing; images app:0, app:1, app:2 and 2 more need it",
                "Bring them back with: linwin pull app:0, or linwin load -i FILE",
            )
        ]


async def test_a_corrupt_config(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    damage(blob(paths, image.id), b"{}")
    [finding] = await check(store, repair=True)
    assert finding.subject == f"blob {image.id}"
    assert not finding.repaired
    for opened in (store, ImageStore(paths)):
        error = await fault(opened, "example/app:1.0")
        path = blob(paths, image.id)
        assert error.message == f"image example/app:1.0 is damaged: {path}: No such file or directory"
        assert error.hint == AGAIN
    assert await load(store, tmp_path, Sample([ONE])) == image
    assert await check(store) == []


async def test_a_corrupt_manifest(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    sample = Sample([ONE])
    manifest, _ = sample.manifest()
    await load(store, tmp_path, sample, "oci")
    damage(blob(paths, sha256(manifest)))
    [finding] = await check(store)
    assert finding.subject == f"blob {sha256(manifest)}"
    await load(store, tmp_path, sample, "oci")
    assert await check(store) == []


async def test_a_corrupt_config_of_a_base_image(store: ImageStore, paths: Paths) -> None:
    await store.adopt_base_images([template()])
    base = await store.resolve(NANOSERVER)
    damage(blob(paths, base.id))
    [finding] = await check(store)
    assert finding.subject == f"blob {base.id}"
    assert finding.problem.endswith("; it is the config of a template's base image")
    assert (
        finding.remedy == "Restart the daemon, which writes it again: linwin daemon stop, then any command."
    )
    again = ImageStore(paths)
    await again.adopt_base_images([template()])
    assert await check(again) == []


async def test_a_blob_that_belongs_to_nobody(store: ImageStore, paths: Paths) -> None:
    stray = blob(paths, sha256(ONE))
    stray.write_bytes(ONE)
    foreign = stray.parent / "notes.txt"
    foreign.write_bytes(b"mine")
    folder = stray.parent / "lost+found"
    folder.mkdir()
    found = [
        Finding(f"blob {sha256(ONE)}", "belongs to no image", DELETE),
        Finding(str(folder), "belongs to no image", DELETE),
        Finding(str(foreign), "belongs to no image", DELETE),
    ]
    assert await check(store) == found
    assert [(finding.subject, finding.repaired) for finding in await check(store, repair=True)] == [
        (f"blob {sha256(ONE)}", True),
        (str(folder), False),
        (str(foreign), True),
    ]
    assert list(stray.parent.iterdir()) == [folder]


async def test_what_a_load_under_way_brought_is_no_stray(store: ImageStore, tmp_path: Path) -> None:
    archive = write(tmp_path / "a.tar", Sample([ONE, TWO]).docker_members())
    [staged] = await store.stage(archive, [template()], ignore)
    assert await check(store, repair=True) == []
    image = await staged.commit()
    assert [layer.blob.read_bytes() for layer in image.layers] == [ONE, TWO]


# Several images at once


@pytest.mark.parametrize("fails", [1, 2, 3])
async def test_images_of_one_archive_become_visible_together(
    store: ImageStore, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    """Two records and then the index are written; the disk is full at one of them."""
    first, second = Sample([ONE], tags=["a:1"]), Sample([TWO], tags=["b:1"])
    members = {**first.docker_members(), **second.docker_members()}
    members["manifest.json"] = json.dumps(
        [json.loads(sample.docker_members()["manifest.json"])[0] for sample in (first, second)]
    ).encode()
    staged = await store.stage(write(tmp_path / "both.tar", members), [template()], ignore)
    fill_disk_at(monkeypatch, fails)
    with pytest.raises(Unavailable):
        await store.commit_all(staged)
    assert await store.list() == []
    assert await check(store) == []
    images = await store.commit_all(staged)
    assert [image.references for image in images] == [("docker.io/library/a:1",), ("docker.io/library/b:1",)]
    assert await check(store) == []


async def test_an_image_that_cannot_be_replaced_is_whole(
    store: ImageStore, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new record was written, and then the index could not be."""
    await load(store, tmp_path, Sample([ONE], compression="gzip"))
    archive = write(tmp_path / "again.tar", Sample([ONE]).oci_members())
    [staged] = await store.stage(archive, [template()], ignore)
    fill_disk_at(monkeypatch, 2)
    with pytest.raises(Unavailable):
        await staged.commit()
    await staged.discard()
    for opened in (store, ImageStore(paths)):
        [image] = await opened.list()
        assert [layer.blob.read_bytes() for layer in image.layers] == [ONE]
        assert await check(opened) == []


def fill_disk_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the ``number``-th file that the catalogue writes find the disk full, and no other."""
    real, left = catalogue.write_atomically, number

    def write_atomically(path: Path, data: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, data)

    monkeypatch.setattr(catalogue, "write_atomically", write_atomically)


# How much there is


async def test_usage_counts_blobs(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    assert await store.usage() == (0, 0)
    await load(store, tmp_path, Sample([ONE, TWO]))
    total = sum(path.stat().st_size for path in (paths.blobs / "sha256").iterdir())
    assert await store.usage() == (total, 0)
    assert await store.discard_interrupted() == 0


async def test_what_interrupted_pulls_keep(paths: Paths) -> None:
    ImageStore(paths)
    blob(paths, sha256(ONE)).write_bytes(ONE)
    manifest = "sha256:" + "a" * 64
    (paths.pulls / f"{'a' * 64}.json").write_text(
        json.dumps(
            {"manifest": manifest, "reference": "docker.io/library/a:1", "blobs": [sha256(ONE), sha256(TWO)]}
        )
    )
    store = ImageStore(paths)
    assert await store.usage() == (len(ONE), len(ONE))
    assert await check(store) == []  # what did not arrive before it was cut is not missing
    damage(blob(paths, sha256(ONE)))
    [finding] = await check(store)
    assert finding.problem.endswith("; an interrupted pull kept it")
    assert finding.remedy == "Pull the image again, which fetches it anew."
    assert [finding.repaired for finding in await check(store, repair=True)] == [True]
    assert await store.discard_interrupted() == 0
    assert await check(store) == []


async def test_interrupted_pulls_can_be_given_up(paths: Paths) -> None:
    ImageStore(paths)
    blob(paths, sha256(ONE)).write_bytes(ONE)
    manifest = "sha256:" + "a" * 64
    (paths.pulls / f"{'a' * 64}.json").write_text(
        json.dumps({"manifest": manifest, "reference": "docker.io/library/a:1", "blobs": [sha256(ONE)]})
    )
    store = ImageStore(paths)
    assert await store.discard_interrupted() == len(ONE)
    assert await store.usage() == (0, 0)
    assert list(paths.pulls.iterdir()) == []
