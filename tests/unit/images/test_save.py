"""Saving images: what the archive holds, and that loading and saving it again changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Internal, InvalidRequest, NotFound
from linwin.images import ImageStore, stand_in_diff_id
from linwin.model.image import Image
from linwin.paths import Paths
from tests.unit.images.archive_writer import (
    FOREIGN,
    NANOSERVER,
    OCI_LAYER,
    OCI_MANIFEST,
    Sample,
    ignore,
    layer_tar,
    sha256,
    template,
    write,
)

LAYERS = [layer_tar({"one.txt": b"one" * 5000}), layer_tar({"two.txt": b"two" * 5000})]
APPLY = {"created_by": "Apply image 10.0.20348.1"}
RUN = {"created_by": "cmd /S /C echo hi"}
FAKE_BASE = "sha256:" + "b" * 64

STORED = Sample(LAYERS, compression="gzip", tags=["example/app:1.0"])
ON_A_BASE = Sample(
    [None, LAYERS[0]], lacking=[FAKE_BASE], history=[APPLY, RUN], compression="gzip", tags=["example/based:1"]
)


async def load(store: ImageStore, archive: Path) -> list[Image]:
    staged = await store.stage(archive, [template()], ignore)
    return [await image.commit() for image in staged]


async def save(store: ImageStore, *references: str) -> bytes:
    return b"".join([piece async for piece in store.save(references)])


def saving(store: ImageStore, reference: str) -> AsyncGenerator[bytes, None]:
    stream = store.save([reference])
    assert isinstance(stream, AsyncGenerator)
    return stream


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def document(archive: bytes, name: str) -> Any:
    return json.loads(members(archive)[name])


def blob(digest: str) -> str:
    return f"blobs/sha256/{digest[7:]}"


@pytest.fixture
async def store(paths: Paths, tmp_path: Path) -> ImageStore:
    """A store with an image that has a manifest, one on a base, and one that came without a manifest."""
    store = ImageStore(paths)
    await store.adopt_base_images([template()])
    await load(store, write(tmp_path / "stored.tar", STORED.oci_members()))
    await load(store, write(tmp_path / "based.tar", ON_A_BASE.oci_members()))
    plain = Sample(LAYERS, tags=["example/plain:1"], created="2023-01-01T00:00:00Z")
    await load(store, write(tmp_path / "plain.tar", plain.docker_members()))
    return store


SELECTIONS = [
    ["example/app:1.0"],
    ["example/based:1"],
    ["example/plain:1"],
    [NANOSERVER],
    ["example/plain:1", "example/based:1", "example/app:1.0", NANOSERVER],
]


@pytest.mark.parametrize("references", SELECTIONS)
async def test_what_was_saved_is_saved_again_from_where_it_was_loaded(
    store: ImageStore, tmp_path: Path, references: Sequence[str]
) -> None:
    first = await save(store, *references)
    assert await save(store, *reversed(references)) == first
    elsewhere = ImageStore(Paths(tmp_path / "elsewhere", tmp_path))
    (tmp_path / "saved.tar").write_bytes(first)
    await load(elsewhere, tmp_path / "saved.tar")
    assert await save(elsewhere, *references) == first
    for reference in references:
        before, after = await store.resolve(reference), await elsewhere.resolve(reference)
        assert (after.id, after.diff_ids, after.base_layers) == (
            before.id,
            before.diff_ids,
            before.base_layers,
        )


async def test_the_archive_holds_both_layouts_over_the_same_blobs(store: ImageStore) -> None:
    archive = await save(store, "example/app:1.0")
    manifest, blobs = STORED.manifest()
    assert members(archive).keys() == {
        *map(blob, blobs),
        "index.json",
        "manifest.json",
        "oci-layout",
    }
    for digest, data in blobs.items():
        assert members(archive)[blob(digest)] == data
    assert document(archive, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    assert document(archive, "index.json")["manifests"] == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": sha256(manifest),
            "size": len(manifest),
            "annotations": {
                "io.containerd.image.name": "docker.io/example/app:1.0",
                "org.opencontainers.image.ref.name": "1.0",
            },
        }
    ]
    layers = [blob(layer["digest"]) for layer in json.loads(manifest)["layers"]]
    assert document(archive, "manifest.json") == [
        {"Config": blob(STORED.id), "RepoTags": ["example/app:1.0"], "Layers": layers}
    ]


async def test_members_are_sorted_and_have_no_time_and_no_owner(store: ImageStore) -> None:
    with tarfile.open(fileobj=io.BytesIO(await save(store, "example/app:1.0"))) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, 0, "")}
    assert {entry.name: entry.mode for entry in entries if entry.isdir()} == {
        "blobs": 0o755,
        "blobs/sha256": 0o755,
    }
    assert {entry.mode for entry in entries if entry.isfile()} == {0o644}


async def test_layers_that_a_template_provides_are_named_and_absent(store: ImageStore) -> None:
    archive = await save(store, "example/based:1")
    [base, own] = json.loads(ON_A_BASE.manifest()[0])["layers"]
    [entry] = document(archive, "manifest.json")
    assert entry["Layers"] == [blob(base["digest"]), blob(own["digest"])]
    assert entry["LayerSources"] == {FAKE_BASE: base}
    assert blob(base["digest"]) not in members(archive)
    assert blob(own["digest"]) in members(archive)


async def test_a_foreign_layers_urls_are_kept(paths: Paths, tmp_path: Path) -> None:
    foreign = {"mediaType": FOREIGN, "digest": FAKE_BASE, "size": 9, "urls": ["https://example.com/layer"]}
    manifest = ON_A_BASE.manifest()[0]
    rewritten = json.loads(manifest)
    rewritten["layers"][0] = foreign
    data = json.dumps(rewritten).encode()
    layout = ON_A_BASE.oci_members()
    layout[blob(sha256(data))] = data
    index = json.loads(layout["index.json"])
    index["manifests"][0] |= {"digest": sha256(data), "size": len(data)}
    layout["index.json"] = json.dumps(index).encode()
    store = ImageStore(paths)
    await load(store, write(tmp_path / "foreign.tar", layout))
    archive = await save(store, "example/based:1")
    assert document(archive, "manifest.json")[0]["LayerSources"] == {FAKE_BASE: foreign}
    assert members(archive)[blob(sha256(data))] == data


async def test_an_image_without_a_manifest_gets_one(store: ImageStore) -> None:
    archive = await save(store, "example/plain:1")
    image = await store.resolve("example/plain:1")
    [listed] = document(archive, "index.json")["manifests"]
    config = members(archive)[blob(image.id)]
    assert document(archive, blob(listed["digest"])) == {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": image.id,
            "size": len(config),
        },
        "layers": [{"mediaType": OCI_LAYER, "digest": sha256(layer), "size": len(layer)} for layer in LAYERS],
    }


async def test_an_image_whose_base_nothing_describes_is_in_dockers_layout_alone(
    paths: Paths, tmp_path: Path
) -> None:
    stand_in = stand_in_diff_id("10.0.20348.1")
    store = ImageStore(paths)
    sample = Sample([None, LAYERS[0]], lacking=[stand_in], tags=["example/built:1"])
    await load(store, write(tmp_path / "built.tar", sample.docker_members()))
    archive = await save(store, "example/built:1")
    assert members(archive).keys() == {blob(sample.id), blob(sha256(LAYERS[0])), "manifest.json"}
    assert document(archive, "manifest.json") == [
        {
            "Config": blob(sample.id),
            "RepoTags": ["example/built:1"],
            "Layers": [blob(stand_in), blob(sha256(LAYERS[0]))],
        }
    ]


async def test_a_base_image_of_a_template_is_its_config_alone(store: ImageStore) -> None:
    archive = await save(store, NANOSERVER)
    image = await store.resolve(NANOSERVER)
    assert members(archive).keys() == {blob(image.id), "manifest.json"}
    [entry] = document(archive, "manifest.json")
    assert (entry["RepoTags"], entry["Layers"]) == ([NANOSERVER], [blob(image.diff_ids[0])])


async def test_a_repository_means_all_its_tags(store: ImageStore) -> None:
    await store.tag("example/app:1.0", "example/app:2.0")
    await store.tag("example/plain:1", "example/app:latest")
    archive = await save(store, "example/app")
    tags = {entry["Config"]: entry["RepoTags"] for entry in document(archive, "manifest.json")}
    assert sorted(tags.values()) == [["example/app:1.0", "example/app:2.0"], ["example/app:latest"]]
    names = [
        entry["annotations"]["io.containerd.image.name"]
        for entry in document(archive, "index.json")["manifests"]
    ]
    assert sorted(names) == [
        "docker.io/example/app:1.0",
        "docker.io/example/app:2.0",
        "docker.io/example/app:latest",
    ]


@pytest.mark.parametrize("by", ["id", "prefix", "digest"])
async def test_an_id_or_a_digest_brings_no_name(store: ImageStore, tmp_path: Path, by: str) -> None:
    image = await store.resolve("example/app:1.0")
    wanted = {"id": image.id, "prefix": image.id[7:19], "digest": image.digests[0]}[by]
    archive = await save(store, wanted)
    assert document(archive, "manifest.json")[0]["RepoTags"] is None
    assert "annotations" not in document(archive, "index.json")["manifests"][0]
    elsewhere = ImageStore(Paths(tmp_path / "elsewhere", tmp_path))
    (tmp_path / "saved.tar").write_bytes(archive)
    [loaded] = await load(elsewhere, tmp_path / "saved.tar")
    assert (loaded.id, loaded.references) == (image.id, ())
    assert await save(elsewhere, image.id) == archive


async def test_one_image_asked_for_twice_is_there_once(store: ImageStore) -> None:
    image = await store.resolve("example/app:1.0")
    assert await save(store, "example/app:1.0", image.id) == await save(store, "example/app:1.0")


async def test_an_unknown_image_is_refused_before_the_first_byte(store: ImageStore) -> None:
    with pytest.raises(NotFound) as raised:
        await anext(store.save(["example/app:1.0", "example/none"]))
    assert raised.value.message == "No such image: example/none:latest"
    with pytest.raises(InvalidRequest, match="invalid reference format"):
        await anext(store.save(["a b"]))


async def test_blobs_stay_while_they_are_read_though_the_image_is_removed(
    store: ImageStore, paths: Paths
) -> None:
    expected = await save(store, "example/based:1")
    own = json.loads(ON_A_BASE.manifest()[0])["layers"][1]["digest"]
    async with aclosing(saving(store, "example/based:1")) as stream:
        first = await anext(stream)
        await store.remove("example/based:1", force=False, in_use=frozenset())
        assert (paths.blobs / "sha256" / ON_A_BASE.id[7:]).exists()
        assert first + b"".join([piece async for piece in stream]) == expected
    await store.tag("example/plain:1", "example/other:1")
    await store.remove("example/plain:1", force=False, in_use=frozenset())
    await store.discard_interrupted()
    assert not (paths.blobs / "sha256" / ON_A_BASE.id[7:]).exists()
    assert (paths.blobs / "sha256" / own[7:]).exists()  # the other image has the layer too


async def test_a_stream_that_is_abandoned_gives_its_claims_back(store: ImageStore, paths: Paths) -> None:
    async with aclosing(saving(store, "example/app:1.0")) as stream:
        await anext(stream)
    await store.remove("example/app:1.0", force=False, in_use=frozenset())
    assert not (paths.blobs / "sha256" / STORED.id[7:]).exists()


async def test_pieces_are_small_and_read_one_at_a_time(paths: Paths, tmp_path: Path) -> None:
    sample = Sample([layer_tar({"large": os.urandom(3 << 20)})])
    store = ImageStore(paths)
    await load(store, write(tmp_path / "large.tar", sample.docker_members()))
    pieces = [piece async for piece in store.save(["example/app:1.0"])]
    assert max(map(len, pieces)) == 1 << 20


async def test_a_cancelled_reader_leaves_no_thread_in_the_archive(store: ImageStore, paths: Paths) -> None:
    stream = store.save(["example/app:1.0"])
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.wait({asyncio.ensure_future(store.list())})
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await store.remove("example/app:1.0", force=False, in_use=frozenset())
    assert not (paths.blobs / "sha256" / STORED.id[7:]).exists()


async def test_a_blob_that_the_store_has_lost_is_named(store: ImageStore, paths: Paths) -> None:
    layer = json.loads(STORED.manifest()[0])["layers"][0]["digest"]
    path = paths.blobs / "sha256" / layer[7:]
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(Internal) as raised:
        await save(store, "example/app:1.0")
    assert raised.value.message == (
        f"blob {layer} of the image store cannot be read: No such file or directory"
    )
    assert raised.value.hint == "See what else is damaged with: linwin system check"
    path.write_bytes(content)
    stream = store.save(["example/app:1.0"])
    await anext(stream)
    os.truncate(path, 10)
    with pytest.raises(Internal) as raised:
        async for _ in stream:
            pass
    assert raised.value.message == (
        f"blob {layer} of the image store cannot be read: it ends {len(content) - 10} bytes early"
    )


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
@pytest.mark.parametrize("reference", ["example/app:1.0", "example/plain:1"])
@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
async def test_skopeo_reads_both_layouts(
    store: ImageStore, tmp_path: Path, reference: str, transport: str
) -> None:
    saved, copied = tmp_path / "saved.tar", tmp_path / "copied.tar"
    saved.write_bytes(await save(store, reference))
    tag = reference.partition(":")[2]
    source = f"{transport}:{saved}:" + (tag if transport == "oci-archive" else reference)
    skopeo = ["skopeo", "--insecure-policy", "copy", "--quiet"]
    await asyncio.to_thread(
        subprocess.run,
        [*skopeo, source, f"oci-archive:{copied}:{reference}"],
        check=True,
        capture_output=True,
    )
    [image] = await load(ImageStore(Paths(tmp_path / "elsewhere", tmp_path)), copied)
    known = await store.resolve(reference)
    assert image.diff_ids == known.diff_ids
    if transport == "oci-archive":
        assert image.id == known.id


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
async def test_skopeo_inspects_an_image_whose_base_is_absent(store: ImageStore, tmp_path: Path) -> None:
    saved = tmp_path / "saved.tar"
    saved.write_bytes(await save(store, "example/based:1"))
    done = await asyncio.to_thread(
        subprocess.run,
        ["skopeo", "--override-os", "windows", "inspect", f"oci-archive:{saved}"],
        check=True,
        capture_output=True,
    )
    described = json.loads(done.stdout)
    assert described["Digest"] == sha256(ON_A_BASE.manifest()[0])
    assert described["Layers"][0] == FAKE_BASE
