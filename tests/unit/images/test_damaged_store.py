"""Records, manifests and an index that the disk, or somebody, has damaged: told, mended, in nobody's way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.errors import Internal, NotFound
from linwin.images import ImageStore
from linwin.model.image import Image, Removed
from linwin.model.upkeep import Finding
from linwin.paths import Paths
from tests.registry_server import RegistryServer, serve_registry
from tests.unit.images.archive_writer import NANOSERVER, Sample, ignore, sha256, template, write
from tests.unit.images.damage import AGAIN, DELETE, MEND, NOBODY, ONE, TWO, blob, check, damage, fault, load


@pytest.fixture
def store(paths: Paths) -> ImageStore:
    return ImageStore(paths)


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


def record_of(paths: Paths, image: Image) -> Path:
    return paths.image_records / f"{image.id[7:]}.json"


async def test_a_damaged_record_is_written_again(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    path = record_of(paths, image)
    whole = path.read_bytes()
    for data, problem in [
        (b"{}", f'has a record that cannot be read: "id" of {path} is not a digest'),
        (None, "has a record that cannot be read: No such file or directory"),
        (whole.replace(b'"base_layers": 0', b'"base_layers": 1'), f"has a record that was changed: {path}"),
    ]:
        path.unlink() if data is None else path.write_bytes(data)
        expected = Finding("image example/app:1.0", problem, MEND)
        assert await check(store) == [expected]
        assert [finding.repaired for finding in await check(store, repair=True)] == [True]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 100, b"[" * 100_000])
async def test_an_image_with_a_damaged_record_waits_for_its_return(
    store: ImageStore, paths: Paths, tmp_path: Path, data: bytes
) -> None:
    other = await load(store, tmp_path, Sample([TWO], tags=["other:1"]))
    image = await load(store, tmp_path, Sample([ONE]))
    record_of(paths, image).write_bytes(data)
    again = ImageStore(paths)
    assert await again.list() == [other]
    for name in ("example/app:1.0", image.id, image.id[7:19]):
        error = await fault(again, name)
        assert error.message.startswith("image example/app:1.0 is damaged: ")
        assert error.hint == AGAIN
    with pytest.raises(NotFound, match=r"^image example/app:1\.0 is damaged: "):
        await again.tag(image.id, "b:1")
    [finding] = await check(again, repair=True)
    assert (finding.subject, finding.remedy, finding.repaired) == ("image example/app:1.0", AGAIN, False)
    # Any blob may be the image's, so none is deleted.
    await again.remove("other:1", force=True, in_use=NOBODY)
    assert blob(paths, sha256(ONE)).exists()
    assert blob(paths, sha256(TWO)).exists()
    assert await load(again, tmp_path, Sample([ONE])) == image
    assert not blob(paths, sha256(TWO)).exists()
    assert await check(again) == []


async def test_a_damaged_image_can_be_removed(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    record_of(paths, image).write_bytes(b"{}")
    again = ImageStore(paths)
    assert await again.remove("example/app:1.0", force=False, in_use=NOBODY) == [
        Removed(untagged="example/app:1.0"),
        Removed(deleted=image.id),
    ]
    assert [path for path in paths.root.rglob("*") if path.is_file()] == [paths.image_index]
    assert await check(again) == []


async def test_the_blobs_of_an_image_with_a_damaged_config_stay(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    damage(blob(paths, image.id), b"{}")
    again = ImageStore(paths)
    error = await fault(again, image.id)
    path = blob(paths, image.id)
    reason = f"its config {path} has the digest {sha256(b'{}')}"
    assert error.message == f"image example/app:1.0 is damaged: {reason}"
    findings = await check(again)
    assert Finding("image example/app:1.0", f"is damaged: {reason}", AGAIN) in findings
    assert blob(paths, sha256(ONE)).exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"diff_id": sha256(TWO)}, "has a record whose layers are not those of its config"),
        ({"size": 5}, f"has a record by which blob {{digest}} has 5 bytes, but it has {len(ONE)}"),
        ({"diff_id": sha256(TWO)}, f"has a layer whose blob {{digest}} has the diff id {sha256(ONE)} "
                                   f"instead of the diff id {sha256(TWO)}"),
        ({"size": 5}, "has a record that does not fit its manifest {manifest}"),
    ],
)  # fmt: skip
async def test_a_record_that_lies(
    store: ImageStore, paths: Paths, tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    sample = Sample([ONE])
    manifest, _ = sample.manifest()
    image = await load(store, tmp_path, sample, "oci")
    layer = json.loads(record_of(paths, image).read_bytes())["layers"][0]
    rewrite(record_of(paths, image), layers=[{**layer, **changes}])
    expected = problem.format(digest=sha256(ONE), manifest=sha256(manifest))
    findings = await check(ImageStore(paths), repair=True)
    assert Finding("image example/app:1.0", expected, AGAIN) in findings


async def test_a_layer_that_cannot_be_decompressed(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    """Its digest is right, so somebody stored it that way."""
    image = await load(store, tmp_path, Sample([ONE], compression="gzip"))
    [layer] = image.layers
    broken = layer.blob.read_bytes()[:-6] + b"broken"
    blob(paths, sha256(broken)).write_bytes(broken)
    entry = json.loads(record_of(paths, image).read_bytes())["layers"][0]
    rewrite(record_of(paths, image), layers=[{**entry, "digest": sha256(broken)}])
    assert await check(ImageStore(paths)) == [
        Finding(
            "image example/app:1.0",
            f"has a layer whose blob {sha256(broken)} has no content that can be decompressed "
            f"instead of the diff id {sha256(ONE)}",
            AGAIN,
        )
    ]


async def test_an_index_that_was_changed(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE]))
    whole = paths.image_index.read_bytes()
    subject = f"the image index {paths.image_index}"
    for data, problem in [
        (b'{"version": "1"}', "does not list what the daemon knows"),
        (b"[]", f"cannot be read: {paths.image_index} is not a JSON object"),
        (b"{}", f"cannot be read: {paths.image_index} is not an index of images"),
        (
            b'{"version": "7"}',
            f"cannot be read: {paths.image_index} was written by another version of linwin",
        ),
    ]:
        paths.image_index.write_bytes(data)
        assert await check(store) == [Finding(subject, problem, MEND)]
        assert [finding.repaired for finding in await check(store, repair=True)] == [True]
        assert paths.image_index.read_bytes() == whole


@pytest.mark.parametrize("data", [None, b"", b"[]", b'{"version": "1", "images": ["../x"]}', b"\xff\0"])
async def test_a_damaged_index_costs_the_names_alone(
    store: ImageStore, paths: Paths, tmp_path: Path, data: bytes | None
) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    paths.image_index.unlink() if data is None else paths.image_index.write_bytes(data)
    again = ImageStore(paths)
    [found] = await again.list()
    assert (found.id, found.references) == (image.id, ())
    kept = paths.images_aside / "index.json"
    if data is None:
        assert await check(again) == []
    else:
        assert kept.read_bytes() == data
        expected = Finding(
            str(kept),
            "is an image index that could not be read, and all images lost their names with it",
            f"Name the images again with linwin tag, linwin pull or linwin load, then delete {kept}.",
        )
        assert await check(again, repair=True) == [expected]
    await load(again, tmp_path, Sample([ONE]))
    assert await again.resolve("example/app:1.0") == image
    kept.unlink(missing_ok=True)
    assert await check(ImageStore(paths)) == []


async def test_a_store_of_another_version_is_left_alone(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    await load(store, tmp_path, Sample([ONE]))
    rewrite(paths.image_index, version="2")
    before = {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()}
    with pytest.raises(Internal) as caught:
        ImageStore(paths)
    assert caught.value.message == f"{paths.image_index} was written by another version of linwin"
    assert caught.value.hint == (
        "Use that version, or move the images folder away and load the images again."
    )
    assert {path: path.read_bytes() for path in paths.root.rglob("*") if path.is_file()} == before


async def test_a_name_whose_image_is_gone(store: ImageStore) -> None:
    await store.adopt_base_images([template()])
    base = await store.resolve(NANOSERVER)
    await store.tag(NANOSERVER, "mine")
    await store.adopt_base_images([])
    assert await check(store, repair=True) == [
        Finding(
            "the name mine:latest",
            f"is that of image {base.id[7:19]}, which is not here",
            "Build the template again that provided it, or drop the name with: linwin rmi mine:latest",
        )
    ]
    assert await store.remove("mine", force=False, in_use=NOBODY) == [Removed(untagged="mine:latest")]
    assert await check(store) == []


async def test_files_that_nothing_names(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    strays = [
        paths.image_index.with_name(".index.json.abc"),
        paths.image_records / f".{image.id[7:]}.json.abc",
        paths.image_records / f"{'0' * 64}.json",
        paths.pulls / ".x.json.abc",
        paths.pulls / f"{'0' * 64}.json",
    ]
    for path in strays:
        path.write_bytes(b"{}")
    assert sorted((await check(store)), key=lambda finding: finding.subject) == [
        Finding(str(path), "belongs to no image", DELETE) for path in sorted(strays)
    ]
    assert {finding.repaired for finding in await check(store, repair=True)} == {True}
    assert await check(store) == []


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryServer]:
    with serve_registry(tmp_path / "registry") as server:
        yield server


@pytest.mark.parametrize("what", ["layer", "config", "record", "index"])
async def test_a_pull_brings_back_what_was_damaged(
    paths: Paths, tmp_path: Path, registry: RegistryServer, what: str
) -> None:
    sample = Sample([ONE, TWO], compression="gzip")
    registry.push(f"oci-archive:{write(tmp_path / 'push.tar', sample.oci_members())}", "app:1")
    registry.configure(paths)
    store, name = ImageStore(paths), registry.name("app:1")
    image = await (await store.pull(name, [template()], ignore)).commit()
    victims = {
        "layer": image.layers[1].blob,
        "config": blob(paths, image.id),
        "record": record_of(paths, image),
        "index": paths.image_index,
    }
    damage(victims[what], None if what == "layer" else b"{}")
    again = ImageStore(paths)
    assert len(await check(again)) > 0
    assert await (await again.pull(name, [template()], ignore)).commit() == image
    (paths.images_aside / "index.json").unlink(missing_ok=True)
    assert await check(again) == []
    assert await again.list() == [image]
