"""Loading archives of every layout, whole."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.images import ImageStore, stand_in_diff_id
from linwin.model.health import HealthCheck
from linwin.model.image import HistoryEntry, Image, RunConfig
from linwin.model.progress import Progress
from linwin.paths import Paths
from tests.unit.images.archive_writer import (
    FOREIGN,
    OCI_INDEX,
    OCI_LAYER,
    Sample,
    compress,
    descriptor,
    encode,
    hex_of,
    ignore,
    layer_tar,
    oci_layout,
    sha256,
    tar_of,
    template,
    write,
)

ONE = layer_tar({"one.txt": b"one" * 1000})
TWO = layer_tar({"two.txt": b"two" * 1000})
BASE = stand_in_diff_id("10.0.20348.1")


async def load(paths: Paths, archive: Path) -> list[Image]:
    store = ImageStore(paths)
    staged = await store.stage(archive, [template()], ignore)
    return [await image.commit() for image in staged]


def stored(image: Image) -> list[bytes]:
    return [layer.blob.read_bytes() for layer in image.layers]


@pytest.mark.parametrize("outer", [None, "gzip", "zstd", "xz"])
@pytest.mark.parametrize("inner", [None, "gzip", "zstd"])
@pytest.mark.parametrize("layout", ["docker", "oci"])
async def test_an_image_arrives_whole(
    paths: Paths, tmp_path: Path, layout: str, inner: str | None, outer: str | None
) -> None:
    sample = Sample(
        [ONE, TWO],
        compression=inner,
        run={
            "Entrypoint": ["app.exe"],
            "Cmd": None,
            "Env": ["PATH=C:\\app"],
            "WorkingDir": "C:\\app",
            "User": "ContainerUser",
            "Shell": ["cmd", "/S", "/C"],
            "Labels": {"a": "b"},
            "ExposedPorts": {"80/tcp": {}},
            "Volumes": {"C:\\data": {}},
            "StopSignal": "SIGINT",
            "Healthcheck": {"Test": ["CMD-SHELL", "ver"], "Interval": 5_000_000_000, "Retries": 2},
            "ArgsEscaped": True,
        },
        history=[{"created_by": "one", "comment": "c"}, {"created_by": "two", "author": "me"}],
    )
    members = sample.docker_members() if layout == "docker" else sample.oci_members()
    [image] = await load(paths, write(tmp_path / "app.tar", members, outer))
    assert image.id == sample.id
    assert image.references == ("docker.io/example/app:1.0",)
    assert image.config == RunConfig(
        entrypoint=("app.exe",),
        env=("PATH=C:\\app",),
        working_dir="C:\\app",
        user="ContainerUser",
        shell=("cmd", "/S", "/C"),
        labels={"a": "b"},
        exposed_ports=("80/tcp",),
        volumes=("C:\\data",),
        stop_signal="SIGINT",
        health_check=HealthCheck(("CMD-SHELL", "ver"), interval=5_000_000_000, retries=2),
        args_escaped=True,
    )
    assert image.history == (
        HistoryEntry(created_by="one", comment="c"),
        HistoryEntry(created_by="two", author="me"),
    )
    assert (image.created, image.author) == ("2024-05-06T07:08:09.123456789Z", "somebody")
    assert (image.platform.os, image.platform.os_version) == ("windows", "10.0.20348.1850")
    assert image.diff_ids == (sha256(ONE), sha256(TWO))
    assert image.base_layers == 0
    assert [layer.diff_id for layer in image.layers] == list(image.diff_ids)
    assert stored(image) == [compress(ONE, inner), compress(TWO, inner)]
    assert image.size == sum(layer.size for layer in image.layers) == sum(map(len, stored(image)))
    assert {layer.media_type for layer in image.layers} == {OCI_LAYER + (f"+{inner}" if inner else "")}
    assert (paths.blobs / "sha256" / image.id[7:]).read_bytes() == sample.config


async def test_the_manifest_of_an_oci_archive_is_kept(paths: Paths, tmp_path: Path) -> None:
    sample = Sample([ONE])
    [image] = await load(paths, write(tmp_path / "app.tar", sample.oci_members()))
    manifest = sample.manifest()[0]
    assert image.digests == (f"docker.io/example/app@{sha256(manifest)}",)
    assert (paths.blobs / "sha256" / hex_of(manifest)).read_bytes() == manifest


async def test_layers_that_the_template_provides_need_no_bytes(paths: Paths, tmp_path: Path) -> None:
    sample = Sample([None, ONE], lacking=[BASE])
    told: list[Progress] = []
    store = ImageStore(paths)
    [staged] = await store.stage(
        write(tmp_path / "a.tar", sample.docker_members()), [template()], told.append
    )
    image = await staged.commit()
    assert (image.base_layers, image.diff_ids) == (1, (BASE, sha256(ONE)))
    assert [layer.diff_id for layer in image.layers] == [sha256(ONE)]
    assert told == [
        Progress("Provided by template wine", BASE[7:19]),
        Progress("Loading layer", hex_of(ONE)[:12], len(ONE), len(ONE)),
    ]


@pytest.mark.parametrize("layout", ["docker", "oci"])
async def test_foreign_layers_may_be_missing(paths: Paths, tmp_path: Path, layout: str) -> None:
    sample = Sample([None, ONE], lacking=["sha256:" + "f" * 64], media_types={0: FOREIGN})
    members = sample.docker_members() if layout == "docker" else sample.oci_members()
    [image] = await load(paths, write(tmp_path / "a.tar", members))
    assert image.base_layers == 1


async def test_real_base_layers_in_the_archive_are_not_stored(paths: Paths, tmp_path: Path) -> None:
    sample = Sample([TWO, ONE], history=[{"created_by": "Apply image x"}, {"created_by": "y"}])
    [image] = await load(paths, write(tmp_path / "a.tar", sample.docker_members()))
    assert image.base_layers == 1
    assert not (paths.blobs / "sha256" / hex_of(TWO)).exists()


async def test_both_layouts_in_one_archive_give_one_image_with_all_names(
    paths: Paths, tmp_path: Path
) -> None:
    sample = Sample([ONE], tags=["a:1", "b:2"])
    members = sample.oci_members()
    entry = sample.docker_entry([f"blobs/sha256/{hex_of(ONE)}"])
    entry["Config"] = f"blobs/sha256/{sample.id[7:]}"
    entry["RepoTags"] = ["c:3"]
    members["manifest.json"] = encode([entry])
    [image] = await load(paths, write(tmp_path / "a.tar", members))
    assert image.references == (
        "docker.io/library/a:1",
        "docker.io/library/b:2",
        "docker.io/library/c:3",
    )


async def test_several_images_share_what_they_share(paths: Paths, tmp_path: Path) -> None:
    first, second = Sample([ONE], tags=["a:1"]), Sample([ONE, TWO], tags=["b:1"])
    members = {**first.docker_members(), **second.docker_members()}
    members["manifest.json"] = encode(
        [
            *json.loads(first.docker_members()["manifest.json"]),
            *json.loads(second.docker_members()["manifest.json"]),
        ]
    )
    a, b = await load(paths, write(tmp_path / "a.tar", members))
    assert (a.id, b.id) == (first.id, second.id)
    assert a.layers[0].blob == b.layers[0].blob


async def test_of_a_manifest_list_the_windows_image_is_taken(paths: Paths, tmp_path: Path) -> None:
    linux = Sample([TWO], os="linux", os_version="")
    old = Sample([ONE], os_version="10.0.17763.1")
    new = Sample([ONE], os_version="10.0.26100.1")
    blobs = {}
    entries = []
    for sample in (linux, old, new):
        manifest, needed = sample.manifest()
        blobs.update(needed)
        entries.append(descriptor(manifest, platform={"os": sample.os, "architecture": "amd64"}))
    attestation = {"vnd.docker.reference.type": "attestation-manifest"}
    entries.append({**entries[0], "annotations": attestation, "digest": "sha256:" + "e" * 64})
    entries.append({**entries[0], "digest": "sha256:" + "d" * 64})  # a platform that was not saved
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    members = oci_layout([descriptor(index, name="docker.io/x/y:z")], {**blobs, sha256(index): index})
    [image] = await load(paths, write(tmp_path / "a.tar", members))
    # The wine template provides build 20348, which is not on offer: the newest wins.
    assert image.id == new.id
    assert image.references == ("docker.io/x/y:z",)
    assert image.digests == (f"docker.io/x/y@{sha256(index)}",)


async def test_platforms_listed_at_the_top_are_one_image(paths: Paths, tmp_path: Path) -> None:
    linux, windows = Sample([TWO], os="linux"), Sample([ONE])
    blobs = {**linux.manifest()[1], **windows.manifest()[1]}
    entries = [
        descriptor(sample.manifest()[0], platform={"os": sample.os, "architecture": "amd64"})
        for sample in (linux, windows)
    ]
    [image] = await load(paths, write(tmp_path / "a.tar", oci_layout(entries, blobs)))
    assert (image.id, image.references, image.digests) == (windows.id, (), ())


@pytest.mark.parametrize(
    ("annotation", "names"),
    [
        ("docker.io/x/y:z", ("docker.io/x/y:z",)),
        ("x:1", ("docker.io/library/x:1",)),
        ("latest", ()),
        ("Not:A:Name", ()),
        ("x@sha256:" + "0" * 64, ()),
    ],
)
async def test_a_loose_reference_name_is_taken_where_it_is_one(
    paths: Paths, tmp_path: Path, annotation: str, names: tuple[str, ...]
) -> None:
    manifest, blobs = Sample([ONE]).manifest()
    entry = {
        **descriptor(manifest),
        "annotations": {"org.opencontainers.image.ref.name": annotation},
    }
    [image] = await load(paths, write(tmp_path / "a.tar", oci_layout([entry], blobs)))
    assert image.references == names


async def test_names_as_docker_on_windows_and_tar_write_them(paths: Paths, tmp_path: Path) -> None:
    sample = Sample([ONE])
    members = {f"./{name}": data for name, data in sample.docker_members().items()}
    manifest = json.loads(members["./manifest.json"])
    manifest[0]["Layers"] = [f"{sha256(ONE)[7:]}\\layer.tar"]
    members["./manifest.json"] = encode(manifest)
    [image] = await load(paths, write(tmp_path / "a.tar", members))
    assert image.id == sample.id


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
async def test_a_layer_saved_once_and_linked(paths: Paths, tmp_path: Path, kind: bytes) -> None:
    sample = Sample([ONE])
    members = sample.docker_members()
    data = members.pop(f"{hex_of(ONE)}/layer.tar")
    buffer = io.BytesIO(tar_of({**members, "other/layer.tar": data}))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        link = tarfile.TarInfo(f"{hex_of(ONE)}/layer.tar")
        link.type = kind
        link.linkname = "../other/layer.tar" if kind == tarfile.SYMTYPE else "other/layer.tar"
        tar.addfile(link)
    archive = tmp_path / "a.tar"
    archive.write_bytes(buffer.getvalue())
    [image] = await load(paths, archive)
    assert stored(image) == [ONE]


@pytest.mark.parametrize("how", ["gzip", "zstd", "xz"])
async def test_an_archive_compressed_in_several_pieces(paths: Paths, tmp_path: Path, how: str) -> None:
    data = tar_of(Sample([ONE]).docker_members())
    archive = tmp_path / "a.tar"
    archive.write_bytes(
        b"".join(compress(data[start : start + 1000], how) for start in range(0, len(data), 1000))
    )
    [image] = await load(paths, archive)
    assert stored(image) == [ONE]


async def test_discarding_leaves_nothing(
    paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None]
) -> None:
    store = ImageStore(paths)
    [staged] = await store.stage(write(tmp_path / "a.tar", Sample([ONE]).oci_members()), [template()], ignore)
    assert staged.image.references == ("docker.io/example/app:1.0",)
    assert await store.list() == []
    await staged.discard()
    await staged.discard()
    nothing_stored()
