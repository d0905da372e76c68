"""Archives by an independent writer: skopeo turns ours into each other's layout."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from linwin.images import ImageStore
from linwin.model.image import Image
from linwin.paths import Paths
from tests.unit.images.archive_writer import Sample, ignore, layer_tar, sha256, template, write

pytestmark = pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")

LAYERS = [layer_tar({"one.txt": b"one" * 5000}), layer_tar({"two.txt": b"two" * 5000})]


def skopeo_copy(source: str, target: str, *options: str) -> None:
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "--quiet", *options, source, target],
        check=True,
        capture_output=True,
    )


async def load(paths: Paths, archive: Path) -> Image:
    store = ImageStore(paths)
    [staged] = await store.stage(archive, [template()], ignore)
    return await staged.commit()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_docker_archive_to_oci_archive(paths: Paths, tmp_path: Path, compression: str) -> None:
    sample = Sample(LAYERS, tags=["example/app:1.0"])
    ours, theirs = write(tmp_path / "ours.tar", sample.docker_members()), tmp_path / "theirs.tar"
    skopeo_copy(
        f"docker-archive:{ours}",
        f"oci-archive:{theirs}:example/app:2.0",
        "--dest-compress-format",
        compression,
    )
    image = await load(paths, theirs)
    assert image.references == ("docker.io/example/app:2.0",)
    assert image.diff_ids == tuple(map(sha256, LAYERS))
    assert image.platform.os_version == "10.0.20348.1850"
    layer_type = f"application/vnd.oci.image.layer.v1.tar+{compression}"
    assert {layer.media_type for layer in image.layers} == {layer_type}
    assert len(image.digests) == 1


@pytest.mark.parametrize("compression", [None, "gzip"])
async def test_oci_archive_to_docker_archive(paths: Paths, tmp_path: Path, compression: str | None) -> None:
    sample = Sample(LAYERS, tags=["example/app:1.0"], compression=compression)
    ours, theirs = write(tmp_path / "ours.tar", sample.oci_members()), tmp_path / "theirs.tar"
    skopeo_copy(f"oci-archive:{ours}", f"docker-archive:{theirs}:example/app:2.0")
    image = await load(paths, theirs)
    assert image.references == ("docker.io/example/app:2.0",)
    assert image.diff_ids == tuple(map(sha256, LAYERS))
    assert [layer.blob.read_bytes() for layer in image.layers] == LAYERS


async def test_there_and_back(paths: Paths, tmp_path: Path) -> None:
    sample = Sample(LAYERS, run={"Cmd": ["app.exe"], "ArgsEscaped": True})
    first, second, third = (tmp_path / f"{number}.tar" for number in range(3))
    write(first, sample.docker_members())
    skopeo_copy(f"docker-archive:{first}", f"oci-archive:{second}:example/app:1.0")
    skopeo_copy(f"oci-archive:{second}", f"docker-archive:{third}:example/app:1.0")
    images = [await load(Paths(tmp_path / path.stem, tmp_path), path) for path in (first, second, third)]
    for image in images:
        assert image.references == ("docker.io/example/app:1.0",)
        assert image.diff_ids == tuple(map(sha256, LAYERS))
        assert image.config.cmd == ("app.exe",)
