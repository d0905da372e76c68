"""What a registry says of an image that is not pulled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, NotFound
from linwin.images import ImageStore
from linwin.model.registry import Distributed, Distribution
from linwin.paths import Paths
from tests.registry_server import RegistryServer
from tests.unit.images.archive_writer import OCI_INDEX, OCI_MANIFEST, Sample, encode, layer_tar, sha256
from tests.unit.images.registry.pushed_images import upload
from tests.unit.images.registry.test_manifest_lists import push_index

SAMPLE = Sample([layer_tar({"0.txt": b"0"})])


async def test_of_an_image(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    upload(registry, tmp_path, "app:1", SAMPLE)
    registry.configure(paths)
    store = ImageStore(paths)
    manifest = SAMPLE.manifest()[0]
    expected = Distribution(
        OCI_MANIFEST,
        sha256(manifest),
        len(manifest),
        (Distributed("windows", "amd64", SAMPLE.os_version),),
    )
    assert await store.distribution(registry.name("app:1")) == expected
    assert await store.distribution(f"{registry.name('app')}@{sha256(manifest)}") == expected
    assert await store.list() == []


async def test_of_a_list_with_all_that_it_names(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    others = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    features = {"os.version": "10.0.1.2", "os.features": ["win32k"]}
    index = push_index(registry, tmp_path, [(SAMPLE, features), (SAMPLE, others)])
    registry.configure(paths)
    assert await ImageStore(paths).distribution(registry.name("app:1")) == Distribution(
        OCI_INDEX,
        sha256(index),
        len(index),
        (
            Distributed("windows", "amd64", "10.0.1.2", ("win32k",)),
            Distributed("linux", "arm64", variant="v8"),
        ),
    )


async def test_of_a_list_that_does_not_name_its_type(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    index = json.loads(push_index(registry, tmp_path, [(SAMPLE, {})]))
    del index["mediaType"]
    registry.put_manifest("app:2", encode(index), OCI_INDEX)
    registry.configure(paths)
    assert (await ImageStore(paths).distribution(registry.name("app:2"))).media_type == OCI_INDEX


async def test_of_what_is_not_there(registry: RegistryServer, paths: Paths) -> None:
    registry.configure(paths)
    with pytest.raises(NotFound):
        await ImageStore(paths).distribution(registry.name("app:1"))
    with pytest.raises(InvalidRequest):
        await ImageStore(paths).distribution("UPPER/CASE")
