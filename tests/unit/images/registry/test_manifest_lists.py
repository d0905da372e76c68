"""Pulls of manifest lists: which of their images it is that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from linwin.errors import InvalidRequest, Unavailable
from linwin.images import ImageStore
from linwin.model.image import Image
from linwin.paths import Paths
from tests.registry_server import RegistryServer
from tests.unit.images.archive_writer import (
    OCI_INDEX,
    OCI_MANIFEST,
    Sample,
    encode,
    ignore,
    layer_tar,
    sha256,
    template,
)
from tests.unit.images.registry.pushed_images import upload

LAYERS = [layer_tar({f"{number}.txt": bytes([number]) * 5000}) for number in range(4)]


def push_index(
    registry: RegistryServer, tmp_path: Path, entries: list[tuple[Sample, dict[str, Any]]]
) -> bytes:
    """Put a manifest list into a registry, each image with what the list says of its platform."""
    descriptors = []
    for sample, platform in entries:
        upload(registry, tmp_path, f"app:{sample.id[7:19]}", sample)
        manifest = sample.manifest()[0]
        descriptors.append(
            {
                "mediaType": OCI_MANIFEST,
                "digest": sha256(manifest),
                "size": len(manifest),
                "platform": {"os": sample.os, "architecture": sample.architecture, **platform},
            }
        )
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors})
    registry.put_manifest("app:1", index, OCI_INDEX)
    return index


async def pull(paths: Paths, reference: str) -> Image:
    return await (await ImageStore(paths).pull(reference, [template()], ignore)).commit()


async def test_the_digest_of_a_list_and_of_its_image_both_find_it(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    sample = Sample(LAYERS[:1])
    index = push_index(registry, tmp_path, [(sample, {"os.version": sample.os_version})])
    registry.configure(paths)
    store = ImageStore(paths)
    staged = await store.pull(registry.name("app:1"), [template()], ignore)
    image = await staged.commit()
    assert staged.digest == sha256(index)
    assert image.digests == (f"{registry.name('app')}@{sha256(index)}",)
    for digest in (sha256(index), sha256(sample.manifest()[0])):
        assert (await store.resolve(f"{registry.name('app')}@{digest}")).id == image.id


NEW = Sample(LAYERS[:1], os_version="10.0.26100.1")
FITTING = Sample(LAYERS[:2], os_version="10.0.20348.1850")
OLD = Sample(LAYERS[:3], os_version="10.0.17763.5329")
LINUX = Sample(LAYERS[:4], os="linux", os_version="")


@pytest.mark.parametrize("told_by_list", [True, False])
async def test_the_image_that_the_templates_serve_is_chosen(
    registry: RegistryServer, paths: Paths, tmp_path: Path, told_by_list: bool
) -> None:
    """Whether the list or only the configs tell the Windows builds."""
    entries = [
        (sample, {"os.version": sample.os_version} if told_by_list and sample.os_version else {})
        for sample in (LINUX, NEW, FITTING, OLD)
    ]
    push_index(registry, tmp_path, entries)
    registry.configure(paths)
    server = template("servercore", any_build=False)
    image = await (await ImageStore(paths).pull(registry.name("app:1"), [server], ignore)).commit()
    assert image.id == FITTING.id


async def test_no_template_for_the_build(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    push_index(registry, tmp_path, [(OLD, {"os.version": OLD.os_version})])
    registry.configure(paths)
    server = template("servercore", any_build=False)
    with pytest.raises(Unavailable) as caught:
        await ImageStore(paths).pull(registry.name("app:1"), [server], ignore)
    assert caught.value.message == (
        f"no template serves image {registry.name('app:1')}, which is for Windows 10.0.17763.5329 "
        "(templates here: servercore)"
    )
    assert caught.value.hint == (
        "Build one that serves every Windows build with: linwin template build wine; or one of that build, "
        "from an ISO of yours (docs/windows.md)"
    )


async def test_an_image_for_another_system(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    push_index(registry, tmp_path, [(LINUX, {})])
    upload(registry, tmp_path, "single:1", LINUX)
    registry.configure(paths)
    for name in ("app:1", "single:1"):
        with pytest.raises(InvalidRequest) as caught:
            await pull(paths, registry.name(name))
        assert caught.value.message == (
            f"image {registry.name(name)} is for linux/amd64; linwin runs Windows images for amd64"
        )


async def test_attestations_are_no_images(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    upload(registry, tmp_path, "app:x", FITTING)
    manifest = FITTING.manifest()[0]
    entry = {"mediaType": OCI_MANIFEST, "digest": sha256(manifest), "size": len(manifest)}
    attestation = {**entry, "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    for entries, expected in (([attestation, entry], FITTING.id), ([attestation], None)):
        index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        registry.put_manifest("app:1", index, OCI_INDEX)
        registry.configure(paths)
        if expected:
            assert (await pull(paths, registry.name("app:1"))).id == expected
            continue
        with pytest.raises(InvalidRequest) as caught:
            await pull(paths, registry.name("app:1"))
        assert caught.value.message == (f"the manifest list of image {registry.name('app:1')} names no image")


async def test_what_is_no_image_beside_one_that_fits(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    """A list may hold artifacts, which name no platform, and the registry may not even have them."""
    upload(registry, tmp_path, "app:x", FITTING)
    manifest = FITTING.manifest()[0]
    platform = {"os": "windows", "architecture": "amd64", "os.version": FITTING.os_version}
    entry = {"mediaType": OCI_MANIFEST, "digest": sha256(manifest), "size": len(manifest)}
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": FITTING.id, "size": 2}
    artifact = encode({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty, "layers": []})
    registry.put_manifest("app:artifact", artifact, OCI_MANIFEST)
    other = {"mediaType": OCI_MANIFEST, "digest": sha256(artifact), "size": len(artifact)}
    registry.configure(paths)
    for entries in ([other, {**entry, "platform": platform}], [{**entry, "platform": platform}, other]):
        index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        registry.put_manifest("app:1", index, OCI_INDEX)
        assert (await pull(paths, registry.name("app:1"))).id == FITTING.id
    registry.put_manifest(
        "app:1", encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [other]}), OCI_INDEX
    )
    with pytest.raises(InvalidRequest) as caught:
        await pull(paths, registry.name("app:1"))
    assert caught.value.message == (
        f"the manifest of image {registry.name('app:1')} is not that of a container image"
    )
