"""Pulls that do not come to their end, that meet each other, or that meet a removal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.images import ImageStore
from linwin.images.registry.limits import Limits
from linwin.model.progress import Progress
from linwin.paths import Paths
from tests.unit.images.archive_writer import Sample, ignore, layer_tar, sha256, template, write
from tests.unit.images.registry.bad_registry import BadRegistry, resets, status
from tests.unit.images.registry.conftest import Told, skopeos

LAYERS = [layer_tar({f"{number}.bin": os.urandom(50_000)}) for number in range(3)]
SAMPLE = Sample(LAYERS, compression="gzip")
MANIFEST, BLOBS = SAMPLE.manifest()
DIGESTS = [layer["digest"] for layer in json.loads(MANIFEST)["layers"]]

RUN = 1 << 17
BOMB = (
    b"\x28\xb5\x2f\xfd\x00\x38"  # RFC 8878: magic, no content size, a window of 128 KiB
    + (RUN << 3 | 1 << 1).to_bytes(3, "little").ljust(4, b"\0") * 250_000  # blocks of one byte, repeated
    + b"\x01\0\0"  # the last block, which is empty
)


def stored(paths: Paths) -> set[str]:
    return {f"sha256:{path.name}" for path in (paths.blobs / "sha256").iterdir()}


async def fail(paths: Paths, bad: BadRegistry) -> None:
    """A pull whose last layer breaks off after the others arrived."""
    store = ImageStore(paths, limits=Limits(layers_at_once=1))
    bad.add(SAMPLE)
    bad.faults[DIGESTS[2]] = [resets(100)] * 3
    with pytest.raises(Unavailable):
        await store.pull(bad.name(), [template()], ignore)


async def test_what_arrived_whole_is_kept_for_the_next_pull(
    bad: BadRegistry, paths: Paths, told: Told
) -> None:
    await fail(paths, bad)
    kept = {SAMPLE.id, sha256(MANIFEST), *DIGESTS[:2]}
    store = ImageStore(paths)  # the daemon starts anew
    assert stored(paths) == kept
    size = sum(len(BLOBS[digest]) for digest in kept)
    assert await store.usage() == (size, size)
    asked = {digest: bad.requests[digest] for digest in DIGESTS}
    image = await (await store.pull(bad.name(), [template()], told)).commit()
    assert [layer.blob.read_bytes() for layer in image.layers] == [BLOBS[digest] for digest in DIGESTS]
    assert [bad.requests[digest] - asked[digest] for digest in DIGESTS] == [0, 0, 1]
    assert told.of(DIGESTS[0]) == ["Pulling fs layer", "Verifying Checksum", "Already exists"]
    assert list(paths.pulls.iterdir()) == []
    await store.remove(bad.name(), force=False, in_use=frozenset())
    assert stored(paths) == set()


async def test_what_is_kept_can_be_given_up(bad: BadRegistry, paths: Paths) -> None:
    await fail(paths, bad)
    store = ImageStore(paths)
    freed, _ = await store.usage()
    assert await store.discard_interrupted() == freed > 0
    assert (stored(paths), list(paths.pulls.iterdir())) == (set(), [])


async def test_what_is_kept_is_given_up_when_the_tag_moves_on(bad: BadRegistry, paths: Paths) -> None:
    await fail(paths, bad)
    other = Sample(LAYERS[:1], compression="gzip", run={"Cmd": ["other"]})
    bad.add(other)
    store = ImageStore(paths)
    await (await store.pull(bad.name(), [template()], ignore)).commit()
    assert stored(paths) == set(other.manifest()[1])


async def test_a_discarded_pull_is_kept_too(bad: BadRegistry, paths: Paths) -> None:
    """Its layers are whole; only its chain could not be built, perhaps for want of space."""
    bad.add(SAMPLE)
    store = ImageStore(paths)
    staged = await store.pull(bad.name(), [template()], ignore)
    await staged.discard()
    await staged.discard()
    assert stored(paths) == set(BLOBS)
    await store.discard_interrupted()
    assert stored(paths) == set()


async def test_a_kept_layer_that_the_disk_damaged_is_fetched_again(bad: BadRegistry, paths: Paths) -> None:
    await fail(paths, bad)
    damaged = paths.blobs / "sha256" / DIGESTS[0][7:]
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.chmod(0o600)
    damaged.write_bytes(data)
    image = await (await ImageStore(paths).pull(bad.name(), [template()], ignore)).commit()
    assert [layer.blob.read_bytes() for layer in image.layers] == [BLOBS[digest] for digest in DIGESTS]


async def test_a_kept_layer_under_another_diff_id_is_looked_into(bad: BadRegistry, paths: Paths) -> None:
    """That a blob is here says nothing about what somebody's config claims is in it."""
    await fail(paths, bad)
    config = SAMPLE.config.replace(SAMPLE.diff_ids[0].encode(), b"sha256:" + b"1" * 64)
    document = json.loads(MANIFEST)
    document["config"] |= {"digest": sha256(config), "size": len(config)}
    manifest = json.dumps(document).encode()
    bad.manifests["evil"] = bad.manifests[sha256(manifest)] = manifest
    bad.blobs[sha256(config)] = config
    expected = (
        f"layer 1 of image {bad.name('evil')} (sha256:{'1' * 64}) is corrupt: "
        f"its content has the diff id {SAMPLE.diff_ids[0]}"
    )
    store = ImageStore(paths)
    with pytest.raises(InvalidRequest) as caught:
        await store.pull(bad.name("evil"), [template()], ignore)
    assert caught.value.message == expected
    await (await store.pull(bad.name(), [template()], ignore)).commit()
    with pytest.raises(InvalidRequest) as caught:  # now that an image of the store says what is in it
        await store.pull(bad.name("evil"), [template()], ignore)
    assert caught.value.message == expected


async def test_a_cancelled_pull_ends_at_once(bad: BadRegistry, paths: Paths) -> None:
    bad.add(SAMPLE)
    bad.for_ever[DIGESTS[1]] = bad.stalls(100)
    store = ImageStore(paths)
    pulling = asyncio.create_task(store.pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        await bad.begun.wait()
        assert skopeos() != []
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
    assert skopeos() == []
    assert list(paths.scratch.iterdir()) == []
    assert await store.list() == []


async def test_a_cancelled_pull_leaves_a_bomb_alone(bad: BadRegistry, paths: Paths) -> None:
    """A megabyte that has come may unpack to 32 GiB: the thread must hear that nobody waits any more."""
    document = json.loads(MANIFEST)
    document["layers"][1] |= {"digest": sha256(BOMB), "size": len(BOMB)}
    manifest = json.dumps(document).encode()
    bad.add(SAMPLE)
    bad.manifests["1"] = bad.manifests[sha256(manifest)] = manifest
    bad.blobs[sha256(BOMB)] = BOMB
    unpacking = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.total == len(BOMB) and (progress.current or 0) > 100_000:
            unpacking.set()  # and the rest of it waits in the pipe

    pulling = asyncio.create_task(ImageStore(paths).pull(bad.name(), [template()], report))
    async with asyncio.timeout(60):
        await unpacking.wait()
    pulling.cancel()
    done, _ = await asyncio.wait({pulling}, timeout=10)
    assert done == {pulling}
    assert pulling.cancelled()


@pytest.mark.parametrize("key", ["1", SAMPLE.id], ids=["layer", "image"])
async def test_a_pull_cancelled_early(bad: BadRegistry, paths: Paths, key: str) -> None:
    bad.add(SAMPLE)
    bad.for_ever[key] = bad.waits()
    pulling = asyncio.create_task(ImageStore(paths).pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        await bad.begun.wait()
        pulling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pulling
    assert skopeos() == []
    assert stored(paths) == set()


async def test_two_pulls_of_one_image_fetch_each_layer_once(bad: BadRegistry, paths: Paths) -> None:
    bad.add(SAMPLE)
    bad.for_ever[DIGESTS[0]] = bad.waits()
    first, second = Told(), Told()
    store = ImageStore(paths)
    pulls = [asyncio.create_task(store.pull(bad.name(), [template()], told)) for told in (first, second)]
    async with asyncio.timeout(30):
        await bad.begun.wait()
        for told in (first, second):
            announced = asyncio.Event()
            told.on["Waiting"] = announced.set
            told.on["Downloading"] = announced.set
            if not {"Waiting", "Downloading"} & {item.status for item in told.progress}:
                await announced.wait()
        bad.released.set()
        staged = await asyncio.gather(*pulls)
    images = [await item.commit() for item in staged]
    assert images[0] == images[1]
    assert [bad.requests[digest] for digest in DIGESTS] == [1, 1, 1]
    ends = [[told.of(digest)[-1] for digest in DIGESTS] for told in (first, second)]
    assert {frozenset(pair) for pair in zip(*ends, strict=True)} == {
        frozenset({"Download complete", "Already exists"})
    }


async def test_a_pull_takes_over_when_the_one_it_waits_for_fails(bad: BadRegistry, paths: Paths) -> None:
    bad.add(SAMPLE)
    bad.faults[DIGESTS[0]] = [bad.waits()]
    store = ImageStore(paths)
    waiting = asyncio.Event()
    told = Told()
    told.on["Waiting"] = waiting.set
    first = asyncio.create_task(store.pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        await bad.begun.wait()
        second = asyncio.create_task(store.pull(bad.name(), [template()], told))
        await waiting.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        image = await (await second).commit()
    assert [layer.blob.read_bytes() for layer in image.layers] == [BLOBS[digest] for digest in DIGESTS]


async def test_an_image_removed_during_a_pull_takes_no_layer_with_it(
    bad: BadRegistry, paths: Paths, tmp_path: Path
) -> None:
    """The pull found the layer here, and it is its own from then on."""
    store = ImageStore(paths)
    lower = Sample(LAYERS[:1], compression="gzip", tags=["lower:1"])
    [loaded] = await store.stage(write(tmp_path / "a.tar", lower.oci_members()), [template()], ignore)
    await loaded.commit()
    bad.add(SAMPLE)
    bad.for_ever[DIGESTS[2]] = bad.waits()
    pulling = asyncio.create_task(store.pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        await bad.begun.wait()
        await store.remove("lower:1", force=True, in_use=frozenset())
        bad.released.set()
        image = await (await pulling).commit()
    assert bad.requests[DIGESTS[0]] == 0
    assert [layer.blob.read_bytes() for layer in image.layers] == [BLOBS[digest] for digest in DIGESTS]


async def test_interrupted_pulls_discarded_during_a_pull(bad: BadRegistry, paths: Paths) -> None:
    """Only those of others are: a running pull keeps what it has."""
    bad.add(SAMPLE)
    bad.for_ever[DIGESTS[2]] = bad.waits()
    store = ImageStore(paths, limits=Limits(layers_at_once=1))
    pulling = asyncio.create_task(store.pull(bad.name(), [template()], ignore))
    async with asyncio.timeout(30):
        await bad.begun.wait()
        assert await store.discard_interrupted() == 0
        bad.released.set()
        await (await pulling).commit()


PULL = """
import asyncio, sys
from pathlib import Path
from tests.unit.images.archive_writer import template
from linwin.images import ImageStore
from linwin.images.registry.limits import Limits
from linwin.paths import Paths

async def main(root, name):
    store = ImageStore(Paths(Path(root), Path(root) / "socket"), limits=Limits(layers_at_once=1))
    await store.pull(name, [template()], lambda progress: None)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_daemon_that_is_killed_leaves_no_transfer_and_keeps_what_came(
    bad: BadRegistry, paths: Paths
) -> None:
    bad.add(SAMPLE)
    bad.faults[DIGESTS[2]] = [bad.stalls(100)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[4]), *sys.path])}
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PULL, str(paths.root), bad.name(), env=environment
    )
    try:
        async with asyncio.timeout(30):
            await bad.begun.wait()
    finally:
        os.kill(daemon.pid, signal.SIGKILL)
        await daemon.wait()
    assert await asyncio.to_thread(_no_skopeo)
    for unfinished in sorted(paths.scratch.rglob("*"), reverse=True):  # as the daemon does when it starts
        unfinished.rmdir() if unfinished.is_dir() else unfinished.unlink()
    store = ImageStore(paths)
    assert stored(paths) == {SAMPLE.id, sha256(MANIFEST), *DIGESTS[:2]}
    await (await store.pull(bad.name(), [template()], ignore)).commit()
    assert [bad.requests[digest] for digest in DIGESTS] == [1, 1, 2]


def _no_skopeo() -> bool:
    """Wait for the orphans, who are ours now, to be gone."""
    while orphans := skopeos():
        os.waitpid(orphans[0], 0)
    return True


async def test_a_registry_that_comes_back(bad: BadRegistry, paths: Paths) -> None:
    """Nothing of a failure sticks to the store."""
    bad.add(SAMPLE)
    bad.faults["1"] = [status(500)]
    store = ImageStore(paths)
    with pytest.raises(Unavailable):
        await store.pull(bad.name(), [template()], ignore)
    assert (await (await store.pull(bad.name(), [template()], ignore)).commit()).id == SAMPLE.id
