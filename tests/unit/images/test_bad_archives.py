"""Archives that are wrong: each is refused in words that name what is wrong, and leaves nothing."""

from __future__ import annotations

import asyncio
import io
import json
import lzma
import os
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.images import ImageStore
from linwin.images.tarball import open_archive
from linwin.paths import Paths
from tests.unit.images.archive_writer import (
    FOREIGN,
    Members,
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

ONE = layer_tar({"one.txt": b"one" * 100})
TWO = layer_tar({"two.txt": b"two" * 100})
CUT_OFF = "The archive may have been cut off; write or copy it again."
DOCKER = Sample([ONE])


@pytest.fixture
def refused(
    paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None]
) -> Callable[[Members | bytes], LinwinError]:
    """Loads an archive that must be refused; returns the error, having seen that nothing is left."""

    async def load(archive: Path) -> LinwinError:
        store = ImageStore(paths)
        with pytest.raises(LinwinError) as caught:
            await store.stage(archive, [template()], ignore)
        return caught.value

    def refuse(content: Members | bytes) -> LinwinError:
        archive = tmp_path / "app.tar"
        archive.write_bytes(content if isinstance(content, bytes) else tar_of(content))
        error = asyncio.run(load(archive))
        nothing_stored()
        return error

    return refuse


Refused = Callable[[Members | bytes], LinwinError]


def changed(document: bytes, **fields: Any) -> bytes:
    return encode({**json.loads(document), **fields})


def with_manifest(**fields: Any) -> Members:
    members = DOCKER.docker_members()
    [entry] = json.loads(members["manifest.json"])
    return {**members, "manifest.json": encode([{**entry, **fields}])}


def test_a_linux_image(refused: Refused) -> None:
    error = refused(Sample([ONE], os="linux").docker_members())
    assert isinstance(error, InvalidRequest)
    assert error.message == ("image example/app:1.0 is for linux/amd64; linwin runs Windows images for amd64")
    error = refused(Sample([ONE], os="linux").oci_members())
    assert error.message == ("image example/app:1.0 is for linux/amd64; linwin runs Windows images for amd64")


def test_one_bad_image_of_two_keeps_both_out(refused: Refused) -> None:
    good, bad = Sample([TWO], tags=["a:1"]), Sample([ONE], os="linux", tags=["b:1"])
    entries = [json.loads(sample.docker_members()["manifest.json"])[0] for sample in (good, bad)]
    members = {**good.docker_members(), **bad.docker_members(), "manifest.json": encode(entries)}
    assert refused(members).message.startswith("image b:1 is for linux/amd64")


def test_no_template(paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None]) -> None:
    async def load() -> None:
        store = ImageStore(paths)
        await store.stage(write(tmp_path / "a.tar", DOCKER.docker_members()), [], ignore)

    with pytest.raises(Unavailable) as caught:
        asyncio.run(load())
    assert caught.value.message == (
        "no template serves image example/app:1.0, which is for Windows 10.0.20348.1850 "
        "(templates here: none)"
    )
    nothing_stored()


def test_a_layer_with_other_content(refused: Refused) -> None:
    members = DOCKER.docker_members()
    members[f"{hex_of(ONE)}/layer.tar"] = TWO
    error = refused(members)
    assert error.message == (
        f"layer 1 of image example/app:1.0 ({sha256(ONE)}) is corrupt: "
        f"its content has the diff id {sha256(TWO)}"
    )


def test_a_blob_whose_digest_is_wrong(refused: Refused) -> None:
    sample = Sample([ONE], compression="gzip")
    members = sample.oci_members()
    blob = compress(ONE, "gzip")
    other = blob[:4] + b"\1\2\3\4" + blob[8:]  # the time stamp: other bytes, the same content
    members[f"blobs/sha256/{hex_of(blob)}"] = other
    error = refused(members)
    assert error.message == (
        f"layer 1 of image example/app:1.0 ({sha256(ONE)}) is corrupt: "
        f"its digest is {sha256(other)}, not {sha256(blob)}"
    )


def test_a_blob_of_another_size(refused: Refused) -> None:
    members = DOCKER.oci_members()
    members[f"blobs/sha256/{hex_of(ONE)}"] = ONE + b"x"
    assert refused(members).message == (
        f"blob {sha256(ONE)} in the archive is corrupt: it has {len(ONE) + 1} bytes, not {len(ONE)}"
    )


def test_a_config_or_manifest_whose_digest_is_wrong(refused: Refused) -> None:
    members = DOCKER.docker_members()
    other = changed(DOCKER.config, author="x")
    members[f"{DOCKER.id[7:]}.json"] = other
    assert refused(members).message == (
        f"{DOCKER.id[7:]}.json in the archive is corrupt: its digest is {sha256(other)}, not {DOCKER.id}"
    )
    for document in (DOCKER.config, DOCKER.manifest()[0]):
        members = DOCKER.oci_members()
        members[f"blobs/sha256/{hex_of(document)}"] = document + b" "
        assert refused(members).message == (
            f"blob {sha256(document)} in the archive is corrupt: "
            f"its digest is {sha256(document + b' ')} and its size {len(document) + 1}"
        )


def test_members_that_are_missing(refused: Refused) -> None:
    for name in (f"{DOCKER.id[7:]}.json", "manifest.json", f"{hex_of(ONE)}/layer.tar"):
        members = DOCKER.docker_members()
        del members[name]
        error = refused(members)
        expected = {
            "manifest.json": "the archive is neither a docker-archive nor an OCI archive",
            f"{hex_of(ONE)}/layer.tar": (
                f"the archive lacks layer 1 of image example/app:1.0 ({sha256(ONE)})"
            ),
        }
        assert error.message == expected.get(name, f"the archive lacks {name}")
        assert error.hint == (
            CUT_OFF
            if name != "manifest.json"
            else "It holds no manifest.json and no index.json; make one with: docker save IMAGE -o FILE"
        )


def test_a_foreign_layer_above_the_base(refused: Refused) -> None:
    lacking = "sha256:" + "f" * 64
    error = refused(Sample([ONE, None], lacking=[lacking], media_types={1: FOREIGN}).oci_members())
    assert error.message == (
        f"the archive lacks layer 2 of image example/app:1.0 ({lacking}), "
        "which is not a base layer that a template provides"
    )
    assert error.hint == "Save the image again with its non-distributable layers included."


def test_an_xz_layer(refused: Refused) -> None:
    assert refused(Sample([ONE], compression="xz").docker_members()).message == (
        f"layer 1 of image example/app:1.0 ({sha256(ONE)}) is compressed with xz; "
        "a layer is plain or uses gzip or zstd"
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_layer_that_ends_early(refused: Refused, compression: str) -> None:
    members = Sample([ONE], compression=compression).docker_members()
    name = f"{hex_of(ONE)}/layer.tar"
    members[name] = members[name][:-20]
    assert "is corrupt: " in refused(members).message


@pytest.mark.parametrize("compression", ["gzip", "xz"])
def test_a_compressed_archive_that_ends_early(refused: Refused, compression: str) -> None:
    data = compress(tar_of(DOCKER.docker_members()), compression)
    assert refused(data[:-20]).message.startswith("the archive is corrupt: ")


def test_files_that_are_no_archives(refused: Refused) -> None:
    for data in (b"", b"hello", b"\0" * 10240, bytes(range(256)) * 40, b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"):
        assert isinstance(refused(data), InvalidRequest)


async def test_a_file_that_is_not_there(paths: Paths, tmp_path: Path) -> None:
    store = ImageStore(paths)
    with pytest.raises(InvalidRequest) as caught:
        await store.stage(tmp_path / "absent.tar", [template()], ignore)
    assert caught.value.message == "cannot open archive absent.tar: No such file or directory"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"manifest.json": b"{}"}, "manifest.json in the archive is not a list of images"),
        ({"manifest.json": b"[]"}, "the archive holds no image"),
        ({"manifest.json": b"[1]"}, "manifest.json in the archive holds something other than objects"),
        ({"manifest.json": b"["}, "manifest.json in the archive is not valid JSON"),
        ({"manifest.json": b"[NaN]"}, "manifest.json in the archive is not valid JSON"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json in the archive is not valid JSON"),
        (
            {"manifest.json": b" " * ((4 << 20) + 1)},
            "manifest.json in the archive is larger than 4194304 bytes",
        ),
        (
            with_manifest(Config=7),
            '"Config" of entry 1 of manifest.json in the archive is not a string',
        ),
        (
            with_manifest(Layers=[7]),
            '"Layers" of entry 1 of manifest.json in the archive holds something other than strings',
        ),
        (
            with_manifest(Layers=[]),
            "entry 1 of manifest.json in the archive lists 0 layers, but the image's config has 1",
        ),
        (
            with_manifest(RepoTags=["Foo"]),
            "invalid reference format: repository name (library/Foo) must be lowercase",
        ),
        (
            with_manifest(RepoTags="x"),
            '"RepoTags" of entry 1 of manifest.json in the archive is not a list',
        ),
        (oci_layout([], {}), "the archive holds no image"),
        (
            oci_layout([{"digest": "sha256:../../etc/passwd"}], {}),
            '"digest" of entry 1 of "manifests" of index.json in the archive is not a sha256 digest',
        ),
        (
            oci_layout([{"digest": "sha256:" + "0" * 64, "size": 1}], {}),
            f"the archive lacks blobs/sha256/{'0' * 64}",
        ),
    ],
)
def test_documents_that_are_wrong(refused: Refused, members: Members, message: str) -> None:
    assert refused(members).message == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"created": "yesterday"}, '"created" of {what} is not a time'),
        ({"created": "2024-01-01T00:00:00"}, '"created" of {what} is not a time'),
        ({"created": "0001-01-01T00:00:00+10:00"}, '"created" of {what} is not a time'),
        ({"config": {"Env": {}}}, '"Env" of "config" of {what} is not a list'),
        (
            {"config": {"Labels": {"a": 1}}},
            '"Labels" of "config" of {what} holds something other than strings',
        ),
        ({"config": {"User": "\ud800"}}, '"User" of "config" of {what} is not valid text'),
        ({"rootfs": {"diff_ids": ["x"]}}, "\"rootfs\" of {what} lists 'x', which is not a sha256 digest"),
        ({"rootfs": {"diff_ids": ["x"] * 513}}, '"rootfs" of {what} lists more than 512 layers'),
        (
            {"history": [{"empty_layer": 1}]},
            '"empty_layer" of entry 1 of "history" of {what} is not true or false',
        ),
    ],
)
def test_configs_that_are_wrong(refused: Refused, fields: Mapping[str, Any], message: str) -> None:
    config = changed(DOCKER.config, **fields)
    name = f"{hex_of(config)}.json"
    members = {**with_manifest(Config=name), name: config}
    assert refused(members).message == message.format(what=f"image config {name}")


def test_manifests_and_indexes_that_are_wrong(refused: Refused) -> None:
    manifest, blobs = DOCKER.manifest()
    fewer = changed(manifest, layers=[])
    assert refused(oci_layout([descriptor(fewer)], {**blobs, sha256(fewer): fewer})).message == (
        f"manifest {sha256(fewer)} lists 0 layers, but the image's config has 1"
    )
    sizeless = {**descriptor(manifest), "size": True}
    assert refused(oci_layout([sizeless], blobs)).message == (
        '"size" of entry 1 of "manifests" of index.json in the archive is not a size'
    )
    empty = encode({"manifests": []})
    assert refused(oci_layout([descriptor(empty, name="a:1")], {sha256(empty): empty})).message == (
        "the archive holds no image manifest for a:1"
    )
    attestation = {**descriptor(manifest), "annotations": {"vnd.docker.reference.type": "x"}}
    assert refused(oci_layout([attestation], blobs)).message == "the archive holds no image"


def test_more_documents_than_any_image_has(refused: Refused) -> None:
    members = with_manifest()
    entries = json.loads(members["manifest.json"]) * 20
    members[f"{DOCKER.id[7:]}.json"] = DOCKER.config.ljust(4 << 20)
    name = f"{hex_of(members[f'{DOCKER.id[7:]}.json'])}.json"
    members[name] = members.pop(f"{DOCKER.id[7:]}.json")
    members["manifest.json"] = encode([{**entry, "Config": name} for entry in entries])
    assert refused(members).message == "the archive holds more than 67108864 bytes of documents"


def test_more_headers_than_any_archive_has(refused: Refused) -> None:
    header = tarfile.TarInfo("x")
    header.pax_headers = {"comment": "y" * 900_000}
    assert refused(header.tobuf(tarfile.PAX_FORMAT) * 160).message == (
        "the archive is not a whole tar archive: it has more than 134217728 bytes of headers"
    )


def test_an_archive_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    archive = write(tmp_path / "a.tar", {"x": bytes(5000)})
    with open_archive(archive, tmp_path, lambda: None) as tar:
        os.truncate(archive, 1024)
        with pytest.raises(InvalidRequest) as caught:
            tar.read("x")
    assert caught.value.message == "the archive ends within x"
    assert caught.value.hint == CUT_OFF


def test_an_artifact_that_is_no_image(refused: Refused) -> None:
    manifest = changed(DOCKER.manifest()[0], config={"mediaType": "application/vnd.test", "digest": "x"})
    members = oci_layout([descriptor(manifest)], {sha256(manifest): manifest})
    assert refused(members).message == (
        f"manifest {sha256(manifest)} is not the manifest of a container image"
    )


def test_indexes_nested_without_end(refused: Refused) -> None:
    document, blobs = DOCKER.manifest()
    for _ in range(6):
        document = encode({"manifests": [descriptor(document)]})
        blobs = {**blobs, sha256(document): document}
    assert refused(oci_layout([descriptor(document)], blobs)).message == (
        "the archive nests or lists too many manifests"
    )


def test_links_in_a_circle(refused: Refused) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, target in (("manifest.json", "b"), ("b", "manifest.json")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    assert refused(buffer.getvalue()).message == (
        "the archive is malformed: the links at manifest.json lead in a circle"
    )


def test_a_header_that_claims_gigabytes_of_names(refused: Refused) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 5 << 30
    data = header.tobuf() + b"\0" * 10240
    assert refused(data).message == (
        "the archive is not a whole tar archive: a member has more than 1048576 bytes of headers"
    )


def test_headers_about_headers_without_end(refused: Refused) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 0
    assert refused(header.tobuf() * 5000).message.startswith("the archive is not a whole tar archive: ")


def test_a_sparse_map_without_end(refused: Refused) -> None:
    header = tarfile.TarInfo("x")
    header.size = 40 << 20
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    data = header.tobuf(tarfile.PAX_FORMAT) + b"9999999\n" + b"9\n" * (20 << 20)
    assert refused(data).message == (
        "the archive is not a whole tar archive: a member has more than 1048576 bytes of headers"
    )


def test_more_members_than_any_image_has(refused: Refused) -> None:
    data = tarfile.TarInfo("x").tobuf() * 65_537
    assert refused(data).message == "the archive has more than 65536 members"


def test_a_bomb_of_zeros_is_read_in_bounded_memory(refused: Refused) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    zeros = compress(bytes(512 << 20), "zstd")
    resource_after_compression = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    members = DOCKER.docker_members()
    members[f"{hex_of(ONE)}/layer.tar"] = zeros
    assert "is corrupt: its content has the diff id" in refused(members).message
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - max(before, resource_after_compression) < 64 << 10


SAMPLES = {
    "docker": tar_of(Sample([ONE, TWO], compression="gzip").docker_members()),
    "docker in gzip": compress(tar_of(Sample([ONE]).docker_members()), "gzip"),
    "docker in zstd": compress(tar_of(Sample([ONE]).docker_members()), "zstd"),
    "docker in xz": lzma.compress(tar_of(Sample([ONE]).docker_members()), preset=0),
    "oci": tar_of(Sample([ONE, TWO], compression="zstd").oci_members()),
    "oci plain": tar_of(Sample([ONE, TWO]).oci_members()),
}


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("kind", SAMPLES)
def test_no_damage_gets_in_or_gets_another_exception(kind: str, data: st.DataObject) -> None:
    """Bytes changed or cut off anywhere: InvalidRequest, or images whose every digest is right."""
    content = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(0, 3), "flips")):
        position = data.draw(st.integers(0, len(content) - 1), "position")
        content[position] ^= data.draw(st.integers(1, 255), "bits")
    if data.draw(st.booleans(), "truncate"):
        del content[data.draw(st.integers(0, len(content)), "length") :]
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_load_damaged(bytes(content), Path(folder)))


async def _load_damaged(content: bytes, folder: Path) -> None:
    archive, paths = folder / "app.tar", Paths(folder / "root", folder / "socket")
    archive.write_bytes(content)
    store = ImageStore(paths)
    try:
        staged = await store.stage(archive, [template()], ignore)
    except InvalidRequest:
        staged = []
    for image in staged:
        assert image.image.id == sha256((paths.blobs / "sha256" / image.image.id[7:]).read_bytes())
        for layer in image.image.layers:
            assert sha256(layer.blob.read_bytes()) == layer.digest
        await image.discard()
    assert [path for path in paths.root.rglob("*") if path.is_file()] == [paths.image_index]
