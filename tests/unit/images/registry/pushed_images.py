"""Images that are pushed in the tests, and what a registry got of them."""

from __future__ import annotations

import json
from pathlib import Path

from linwin.images import ImageStore
from linwin.model.image import Image
from linwin.paths import Paths
from tests.registry_server import RegistryServer
from tests.unit.images.archive_writer import (
    OCI_MANIFEST,
    Members,
    Sample,
    ignore,
    layer_tar,
    oci_layout,
    sha256,
    template,
    write,
)

LAYERS = [layer_tar({f"{number}.txt": bytes([number]) * 5000}) for number in range(3)]
HISTORY = [{"created_by": "Apply image 10.0.20348.1"}, {"created_by": "cmd /S /C echo hi"}]

PLAIN = Sample(LAYERS[:2], compression="gzip", tags=["example/app:1"])
BASED = Sample(LAYERS[:2], compression="gzip", history=HISTORY, tags=["example/app:1"])
"""Its lower layer is a base layer, which the archive has and linwin does not take."""

BASE, OWN = json.loads(BASED.manifest()[0])["layers"]


async def load(store: ImageStore, tmp_path: Path, members: Members) -> Image:
    [staged] = await store.stage(write(tmp_path / "loaded.tar", members), [template()], ignore)
    return await staged.commit()


async def pull(store: ImageStore, reference: str) -> str:
    staged = await store.pull(reference, [template()], ignore)
    await staged.commit()
    return staged.digest


def upload(registry: RegistryServer, tmp_path: Path, name: str, sample: Sample = BASED) -> str:
    """Put an image into a registry as some other tool would; return its manifest's digest."""
    archive = write(tmp_path / "uploaded.tar", sample.oci_members())
    registry.push(f"oci-archive:{archive}", name)
    return sha256(registry.manifest(name))


def without_base(sample: Sample = BASED) -> Members:
    """An archive that lacks the base layer, as docker's do."""
    manifest, blobs = sample.manifest()
    base = json.loads(manifest)["layers"][0]["digest"]
    return oci_layout(
        [
            {
                "mediaType": OCI_MANIFEST,
                "digest": sha256(manifest),
                "size": len(manifest),
                "annotations": {"io.containerd.image.name": tag},
            }
            for tag in sample.tags
        ],
        {digest: data for digest, data in blobs.items() if digest != base},
    )


def set_home(paths: Paths, image: Image, home: str) -> ImageStore:
    """A store that believes the image's base layers to be at ``home``."""
    record = paths.image_records / f"{image.id[7:]}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "home": home}))
    return ImageStore(paths)


def has_blob(registry: RegistryServer, repository: str, digest: str) -> bool:
    """Whether a repository, not only some other of the registry, has a blob."""
    links = registry.folder / "data/docker/registry/v2/repositories" / repository / "_layers/sha256"
    return (links / digest[7:]).exists()


def uploads(registry: RegistryServer) -> list[str]:
    """The registry's answers to requests that brought bytes of blobs."""
    lines = (registry.folder / "log").read_text().splitlines()
    return [line for line in lines if "http.request.method=PATCH" in line and "response completed" in line]
