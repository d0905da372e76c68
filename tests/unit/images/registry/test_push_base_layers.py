"""Pushes of images whose base layers are not stored here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from linwin.errors import Conflict, LinwinError
from linwin.images import ImageStore
from linwin.images.registry.copying import Missing
from linwin.model.progress import Progress
from linwin.model.registry import Credentials
from linwin.paths import Paths
from tests.registry_server import RegistryServer, allow_plain_http, serve_registry
from tests.unit.images.archive_writer import (
    FOREIGN,
    encode,
    ignore,
    sha256,
    template,
)
from tests.unit.images.registry.conftest import Told
from tests.unit.images.registry.pushed_images import (
    BASE,
    BASED,
    LAYERS,
    OWN,
    has_blob,
    load,
    pull,
    set_home,
    upload,
    uploads,
    without_base,
)


@pytest.fixture
def store(paths: Paths, registry: RegistryServer) -> ImageStore:
    registry.configure(paths)
    return ImageStore(paths)


async def test_base_layers_are_mounted_from_where_the_image_came_from(
    store: ImageStore, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    digest = upload(registry, tmp_path, "team/base:1")
    source, target = registry.name("team/base:1"), registry.name("team/app:1")
    assert await pull(store, source) == digest
    assert (await store.resolve(source)).base_layers == 1
    before = len(uploads(registry))
    await store.tag(source, target)
    assert (await store.push(target, told)).digest == digest
    assert told.of(sha256(LAYERS[0])) == ["Preparing", "Mounted from team/base"]
    assert told.of(sha256(LAYERS[1])) == ["Preparing", "Mounted from team/base"]
    assert len(uploads(registry)) == before + 1  # the config
    assert has_blob(registry, "team/app", BASE["digest"])
    assert registry.manifest("team/app:1") == BASED.manifest()[0]


async def test_base_layers_that_the_repository_has_are_left_alone(
    store: ImageStore, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    upload(registry, tmp_path, "team/app:1")
    await load(store, tmp_path, without_base())
    target = registry.name("team/app:2")
    await store.tag("example/app:1", target)
    assert (await store.push(target, told)).digest == sha256(BASED.manifest()[0])
    assert told.of(sha256(LAYERS[0])) == ["Preparing", "Layer already exists"]


async def test_a_foreign_layer_that_says_where_it_lives_stays_there(
    store: ImageStore, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    manifest = json.loads(BASED.manifest()[0])
    manifest["layers"][0] |= {"mediaType": FOREIGN, "urls": ["https://example.com/layer"]}
    members = without_base()
    data = encode(manifest)
    members[f"blobs/sha256/{sha256(data)[7:]}"] = data
    index = json.loads(members["index.json"])
    index["manifests"][0] |= {"digest": sha256(data), "size": len(data)}
    await load(store, tmp_path, {**members, "index.json": encode(index)})
    target = registry.name("team/app:1")
    await store.tag("example/app:1", target)
    assert (await store.push(target, told)).digest == sha256(data)
    assert told.of(sha256(LAYERS[0])) == ["Preparing", "Skipped foreign layer"]
    assert registry.manifest("team/app:1") == data


async def test_base_layers_in_an_open_registry_are_named_there(
    store: ImageStore, paths: Paths, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    image = await load(store, tmp_path, without_base())
    home = "mcr.microsoft.com/windows/nanoserver@sha256:" + "a" * 64
    store = set_home(paths, image, home)
    target = registry.name("team/app:1")
    await store.tag("example/app:1", target)
    pushed = await store.push(target, told)
    manifest = json.loads(registry.manifest("team/app:1"))
    assert manifest["layers"] == [
        {
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "digest": BASE["digest"],
            "size": BASE["size"],
            "urls": [f"https://mcr.microsoft.com/v2/windows/nanoserver/blobs/{BASE['digest']}"],
        },
        OWN,
    ]
    assert (
        Progress(
            "The base layers stay at mcr.microsoft.com/windows/nanoserver, and the manifest names them there"
        )
        in told.progress
    )
    assert told.of(sha256(LAYERS[0])) == ["Preparing", "Skipped foreign layer"]
    assert await store.push(target, ignore) == pushed

    elsewhere = ImageStore(Paths(tmp_path / "elsewhere", tmp_path))
    registry.configure(Paths(tmp_path / "elsewhere", tmp_path))
    assert await pull(elsewhere, target) == pushed.digest
    assert await elsewhere.push(target, ignore) == pushed
    assert (await elsewhere.resolve(target)).base_layers == 1


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RegistryServer]:
    with serve_registry(tmp_path / "other") as server:
        yield server


async def test_base_layers_in_another_registry_are_copied(
    paths: Paths, registry: RegistryServer, other: RegistryServer, tmp_path: Path, told: Told
) -> None:
    allow_plain_http(paths, registry.host, other.host)
    store = ImageStore(paths)
    digest = upload(other, tmp_path, "base:1")
    source, target = other.name("base:1"), registry.name("team/app:1")
    await pull(store, source)
    await store.tag(source, target)
    assert (await store.push(target, told)).digest == digest
    assert told.of(sha256(LAYERS[0])) == ["Preparing", "Pushed"]
    assert (
        Progress(f"The base layers are not stored here: copying them from {other.host}/base") in told.progress
    )
    assert registry.manifest("team/app:1") == BASED.manifest()[0]
    assert registry.blob_file(BASE["digest"]).exists()


async def test_base_layers_that_are_gone_from_their_home(
    paths: Paths, registry: RegistryServer, other: RegistryServer, tmp_path: Path
) -> None:
    allow_plain_http(paths, registry.host, other.host)
    store = ImageStore(paths)
    upload(other, tmp_path, "base:1")
    source, target = other.name("base:1"), registry.name("team/app:1")
    await pull(store, source)
    await store.tag(source, target)
    other.blob_file(BASE["digest"]).unlink()
    with pytest.raises(Conflict) as raised:
        await store.push(target, ignore)
    assert raised.value.message.startswith(
        f"image {target} cannot be pushed: its base layers are not stored here, "
        f"and {other.host}/base, which had them, does not give them: "
    )
    assert raised.value.hint == "Pull the image again from where its base layers are now, then push it."


async def test_base_layers_that_nobody_is_known_to_have(
    store: ImageStore, registry: RegistryServer, tmp_path: Path
) -> None:
    await load(store, tmp_path, without_base())
    target = registry.name("team/app:1")
    await store.tag("example/app:1", target)
    with pytest.raises(Conflict) as raised:
        await store.push(target, ignore)
    assert raised.value.message == (
        f"image {target} cannot be pushed: its base layers are not stored here, "
        "and nothing says which registry has them"
    )
    assert raised.value.hint == "Pull the image from the registry that it came from, then push it."


async def test_base_layers_are_mounted_where_a_login_is_needed(
    paths: Paths, tmp_path: Path, told: Told
) -> None:
    with serve_registry(tmp_path / "private", users={"ada": "secret"}) as private:
        private.configure(paths)
        store, ada = ImageStore(paths), Credentials("ada", "secret")
        upload(private, tmp_path, "base:1")
        staged = await store.pull(private.name("base:1"), [template()], ignore, ada)
        await staged.commit()
        await store.tag(private.name("base:1"), private.name("app:1"))
        await store.push(private.name("app:1"), told, ada)
        assert told.of(sha256(LAYERS[0])) == ["Preparing", "Mounted from base"]


@pytest.mark.parametrize("taken", [1, 2])
async def test_blobs_that_vanish_on_the_way(
    store: ImageStore,
    paths: Paths,
    registry: RegistryServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    taken: int,
) -> None:
    """A registry that says it has a blob and has it not; a folder that loses one."""
    image = await load(store, tmp_path, without_base())
    store = set_home(paths, image, "mcr.microsoft.com/windows/nanoserver@sha256:" + "a" * 64)
    target = registry.name("team/app:1")
    await store.tag("example/app:1", target)
    missing = [OWN["digest"]] if taken == 1 else [BASE["digest"], BASE["digest"]]

    async def fail(*_: object, **__: object) -> None:
        raise Missing(missing.pop(0))

    monkeypatch.setattr("linwin.images.registry.push.run_copy", fail)
    with pytest.raises(LinwinError) as raised:
        await store.push(target, ignore)
    assert (
        raised.value.message
        == {
            1: f"blob {OWN['digest']} of the image store cannot be read: its file is gone",
            2: f"registry {registry.host} took blob {BASE['digest']} and does not have it",
        }[taken]
    )
    assert (
        raised.value.hint
        == {
            1: "See what else is damaged with: linwin system check",
            2: "Push again; the registry's own log says more.",
        }[taken]
    )
