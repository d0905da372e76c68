"""Images that are made here: their configs, manifests and layers, and what removing them takes along."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Conflict, InvalidRequest
from linwin.images import ImageStore
from linwin.model.health import HealthCheck
from linwin.model.image import HistoryEntry, Image, ImageDraft, Layer, Removed, RunConfig
from linwin.paths import Paths
from tests.unit.images.archive_writer import Sample, ignore, layer_tar, sha256, template, write

NOBODY: frozenset[str] = frozenset()
CREATED = "2026-01-02T03:04:05Z"
CONFIG = RunConfig(
    cmd=("cmd /S /C ver",),
    env=("A=b",),
    working_dir="C:\\app",
    user="ContainerUser",
    shell=("cmd", "/S", "/C"),
    labels={"x": "y"},
    exposed_ports=("80/tcp",),
    volumes=("C:\\data",),
    stop_signal="SIGTERM",
    health_check=HealthCheck(test=("CMD-SHELL", "x"), interval=10**9, retries=2),
    args_escaped=True,
    on_build=("RUN x",),
)


@pytest.fixture
async def store(paths: Paths) -> ImageStore:
    store = ImageStore(paths)
    await store.adopt_base_images([template()])
    return store


def draft(
    by: str = "RUN x", step: str = "", config: RunConfig = CONFIG, *, empty: bool = False
) -> ImageDraft:
    entry = HistoryEntry(created=CREATED, created_by=by, empty_layer=empty)
    return ImageDraft(config, entry, CREATED, author="me", step=step)


async def base_of(store: ImageStore) -> Image:
    return next(image for image in await store.list() if image.template)


async def made(
    store: ImageStore, parent: Image, tar: Path | Layer | None = None, *names: str, **more: Any
) -> Image:
    staged = await store.compose(parent, draft(empty=tar is None, **more), tar, names)
    return await staged.commit()


def config_of(paths: Paths, image: Image) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((paths.blobs / "sha256" / image.id[7:]).read_bytes())
    return found


def tar_file(folder: Path, name: str = "x") -> Path:
    path = folder / f"{name}.tar"
    path.write_bytes(layer_tar({f"{name}.txt": name.encode()}))
    return path


async def test_an_image_on_a_template(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    base, tar = await base_of(store), tar_file(tmp_path)
    image = await made(store, base, tar, "app:1")
    assert image.references == ("docker.io/library/app:1",)
    assert image.diff_ids == (*base.diff_ids, sha256(tar.read_bytes()))
    assert image.base_layers == base.base_layers
    assert (image.parent, image.config, image.author) == (base.id, CONFIG, "me")
    (layer,) = image.layers
    assert gzip.decompress(layer.blob.read_bytes()) == tar.read_bytes()
    assert layer.media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
    config = config_of(paths, image)
    assert config["os.version"] == base.platform.os_version
    assert config["created"] == CREATED
    assert config["history"][-1] == {"created": CREATED, "created_by": "RUN x"}
    assert config["config"]["Healthcheck"] == {"Test": ["CMD-SHELL", "x"], "Interval": 10**9, "Retries": 2}
    assert config["config"]["OnBuild"] == ["RUN x"]
    assert config["config"]["ArgsEscaped"] is True


async def test_the_same_again_is_the_same_image(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    base, tar = await base_of(store), tar_file(tmp_path)
    first = await made(store, base, tar)
    before = sorted(path.name for path in (paths.blobs / "sha256").iterdir())
    assert (await made(store, base, tar)).id == first.id
    assert sorted(path.name for path in (paths.blobs / "sha256").iterdir()) == before


async def test_it_lasts_and_knows_where_it_is_from(store: ImageStore, paths: Paths) -> None:
    base = await base_of(store)
    image = await made(store, base, None, step="RUN x")
    again = ImageStore(paths)
    await again.adopt_base_images([template()])
    found = await again.resolve(image.id)
    assert (found.parent, found.step, found.history[-1].empty_layer) == (base.id, "RUN x", True)
    assert found.layers == ()


async def test_a_step_is_remembered_of_an_image_that_was_there(store: ImageStore) -> None:
    base = await base_of(store)
    plain = await made(store, base, None, "app")
    assert plain.step == ""
    image = await made(store, base, None, step="RUN x")
    assert (image.id, image.step, image.references) == (plain.id, "RUN x", plain.references)


async def test_a_layer_of_another_image(store: ImageStore, tmp_path: Path) -> None:
    base = await base_of(store)
    other = await made(store, base, tar_file(tmp_path))
    config = RunConfig(user="x")
    image = await made(store, base, other.layers[0], config=config)
    assert image.layers == other.layers
    assert image.id != other.id
    await store.remove(other.id, force=False, in_use=NOBODY)
    assert (await store.resolve(image.id)).layers[0].blob.exists()


async def test_a_pulled_parent_gives_its_manifest(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    sample = Sample([layer_tar({"one.txt": b"one"})], tags=["example/app:1.0"])
    [staged] = await store.stage(write(tmp_path / "load.tar", sample.oci_members()), [template()], ignore)
    parent = await staged.commit()
    image = await made(store, parent, tar_file(tmp_path), "mine")
    (digest,) = image.digests
    manifest = json.loads((paths.blobs / "sha256" / digest.rpartition(":")[2]).read_bytes())
    assert manifest["config"]["digest"] == image.id
    assert manifest["layers"][-1]["digest"] == image.layers[-1].digest
    assert len(manifest["layers"]) == len(image.diff_ids)
    assert all(image_layer.blob.exists() for image_layer in image.layers)


async def test_what_is_not_committed_is_gone(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    base = await base_of(store)
    before = set((paths.blobs / "sha256").iterdir())
    staged = await store.compose(base, draft(), tar_file(tmp_path), ["app"])
    assert set((paths.blobs / "sha256").iterdir()) > before
    await staged.discard()
    assert set((paths.blobs / "sha256").iterdir()) == before
    with pytest.raises(InvalidRequest, match="UPPER"):
        await store.compose(base, draft(), tar_file(tmp_path), ["UPPER"])
    assert set((paths.blobs / "sha256").iterdir()) == before


async def chain_of(store: ImageStore, *steps: str) -> list[Image]:
    images = [await base_of(store)]
    for step in steps:
        images.append(await made(store, images[-1], None, by=step, step=step))
    return images[1:]


def deleted(removed: Sequence[Removed]) -> list[str | None]:
    return [one.deleted for one in removed if one.deleted]


async def test_removing_takes_along_what_only_it_was_made_from(store: ImageStore) -> None:
    one, two, three = await chain_of(store, "1", "2", "3")
    branch = await made(store, one, None, "branch", by="other", step="other")
    await store.tag(three.id, "app")
    removed = await store.remove("app", force=False, in_use=NOBODY)
    assert deleted(removed) == [three.id, two.id]
    assert (await store.resolve(branch.id)).parent == one.id
    assert deleted(await store.remove("branch", force=False, in_use=NOBODY)) == [branch.id, one.id]


async def test_what_a_container_uses_stays(store: ImageStore) -> None:
    one, two = await chain_of(store, "1", "2")
    removed = await store.remove(two.id, force=False, in_use=frozenset({one.id}))
    assert deleted(removed) == [two.id]
    assert (await store.resolve(one.id)).id == one.id


async def test_an_image_that_others_were_made_from(store: ImageStore) -> None:
    one, two = await chain_of(store, "1", "2")
    await store.tag(one.id, "below")
    with pytest.raises(Conflict) as caught:
        await store.remove(one.id, force=True, in_use=NOBODY)
    assert caught.value.message == (
        f"conflict: unable to delete {one.id[7:19]} (cannot be forced) - image has dependent child images"
    )
    assert deleted(await store.remove("below", force=False, in_use=NOBODY)) == []
    assert deleted(await store.remove(one.id, force=True, in_use=NOBODY, leave_children=True)) == [one.id]
    assert (await store.resolve(two.id)).layers == ()
