"""Pulls from a registry that does not keep its word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from linwin.errors import InvalidRequest, LinwinError, NotFound, Unavailable
from linwin.images import ImageStore
from tests.unit.images.archive_writer import Sample, encode, ignore, layer_tar, sha256, template
from tests.unit.images.registry.bad_registry import (
    BadRegistry,
    Fault,
    ends_early,
    redirects_to_itself,
    resets,
    sends,
    status,
)
from tests.unit.images.registry.conftest import Told

SAMPLE = Sample([layer_tar({f"{number}.txt": bytes([number]) * 9000}) for number in range(2)])
MANIFEST, BLOBS = SAMPLE.manifest()
FIRST, SECOND = (layer["digest"] for layer in json.loads(MANIFEST)["layers"])
SIZE = len(BLOBS[FIRST])
LAYER = f"layer 1 of image HOST/app:1 ({SAMPLE.diff_ids[0]})"
CONFIG = f"the config of image HOST/app:1 ({SAMPLE.id})"
KEPT = "Try again: what arrived whole is kept."


async def refused(store: ImageStore, bad: BadRegistry, report: Any = ignore) -> LinwinError:
    """The error that a pull ends with; what is in the store then is whole and nobody sees it."""
    bad.add(SAMPLE)
    with pytest.raises(LinwinError) as caught:
        await store.pull(bad.name(), [template()], report)
    assert await store.list() == []
    assert all(sha256(path.read_bytes())[7:] == path.name for path in store.blobs._folder.iterdir())
    return caught.value


MANIFEST_FAULTS: list[tuple[Fault, type[LinwinError], str]] = [
    (
        status(401),
        NotFound,
        "pull access denied for HOST/app, repository does not exist or may require 'docker login'",
    ),
    (
        status(403),
        NotFound,
        "pull access denied for HOST/app, repository does not exist or may require 'docker login'",
    ),
    (status(404), NotFound, "manifest for HOST/app:1 not found: manifest unknown: manifest unknown"),
    (status(500), Unavailable, "registry HOST failed: 500 Internal Server Error"),
    (resets(5), Unavailable, "registry HOST cannot be reached: unexpected EOF"),
    (redirects_to_itself(), Unavailable, "registry HOST redirects in circles"),
    (
        sends(b" " * (5 << 20)),
        InvalidRequest,
        "the manifest of image HOST/app:1 is larger than 4194304 bytes",
    ),
    (sends(b"nonsense"), InvalidRequest, "the manifest of image HOST/app:1 is not valid JSON"),
    (sends(b"[]"), InvalidRequest, "the manifest of image HOST/app:1 is not a JSON object"),
    (sends(b"{}"), InvalidRequest, "the manifest of image HOST/app:1 is not that of a container image"),
    (
        sends(encode({"schemaVersion": 1, "fsLayers": []})),
        InvalidRequest,
        "image HOST/app:1 has a manifest of schema 1, which names no config and no diff ids",
    ),
    (
        sends(encode({**json.loads(MANIFEST), "manifests": []})),
        InvalidRequest,
        "the manifest of image HOST/app:1 is a manifest and a list of manifests at once",
    ),
    (
        sends(encode({"manifests": [{"digest": "md5:1", "size": 1}]})),
        InvalidRequest,
        '"digest" of entry 1 of "manifests" of the manifest of image HOST/app:1 is not a sha256 digest',
    ),
    (
        sends(encode({"manifests": [{"digest": SAMPLE.id, "size": 1}] * 1025})),
        InvalidRequest,
        "the manifest of image HOST/app:1 lists more than 1024 manifests",
    ),
    (
        sends(encode({"manifests": []})),
        InvalidRequest,
        "the manifest list of image HOST/app:1 names no image",
    ),
]


@pytest.mark.parametrize(("fault", "kind", "message"), MANIFEST_FAULTS)
async def test_a_manifest(
    bad: BadRegistry, impatient: ImageStore, fault: Fault, kind: type[LinwinError], message: str
) -> None:
    bad.for_ever["1"] = fault
    error = await refused(impatient, bad)
    assert (type(error), error.message) == (kind, message.replace("HOST", bad.host))


async def test_a_manifest_that_is_not_the_one_of_its_digest(bad: BadRegistry, impatient: ImageStore) -> None:
    digest = bad.add(SAMPLE)
    other = Sample([], os_version="10.0.1.1").manifest()[0]
    bad.for_ever[digest] = sends(other)
    with pytest.raises(LinwinError) as caught:
        await impatient.pull(f"{bad.host}/app@{digest}", [template()], ignore)
    assert isinstance(caught.value, InvalidRequest)
    assert caught.value.message == (
        f"the manifest of image {bad.host}/app@{digest} is corrupt: "
        f"its digest is {sha256(other)}, not {digest}"
    )


async def test_a_manifest_and_a_config_that_disagree(bad: BadRegistry, impatient: ImageStore) -> None:
    bad.add(SAMPLE)
    manifest = encode({**json.loads(MANIFEST), "layers": []})
    bad.manifests["less"] = bad.manifests[sha256(manifest)] = manifest
    with pytest.raises(InvalidRequest) as caught:
        await impatient.pull(bad.name("less"), [template()], ignore)
    assert caught.value.message == (
        f"the manifest of image {bad.name('less')} lists 0 layers, but its config has 2"
    )


LAYER_FAULTS: list[tuple[str, Fault, type[LinwinError], str]] = [
    (FIRST, status(404), Unavailable, f"registry HOST lacks {LAYER}"),
    (
        FIRST,
        status(403),
        NotFound,
        "pull access denied for HOST/app, repository does not exist or may require 'docker login'",
    ),
    (
        FIRST,
        status(503),
        Unavailable,
        f"registry HOST broke off {LAYER} 3 times: "
        "invalid status code from registry 503 (Service Unavailable)",
    ),
    (
        FIRST,
        resets(1000),
        Unavailable,
        f"registry HOST broke off {LAYER} 3 times: 1000 of {SIZE} bytes came: unexpected EOF",
    ),
    (
        FIRST,
        ends_early(1000),
        Unavailable,
        f"registry HOST broke off {LAYER} 3 times: 1000 of {SIZE} bytes came",
    ),
    (
        FIRST,
        sends(BLOBS[FIRST] + b"x"),
        InvalidRequest,
        f"{LAYER} is corrupt: it is longer than the {SIZE} bytes that its manifest says",
    ),
    (
        FIRST,
        sends(bytes(SIZE)),
        InvalidRequest,
        f"{LAYER} is corrupt: its digest is {sha256(bytes(SIZE))}, not {FIRST}",
    ),
    (
        SAMPLE.id,
        sends(bytes(len(SAMPLE.config))),
        InvalidRequest,
        f"{CONFIG} is corrupt: its digest is {sha256(bytes(len(SAMPLE.config)))}, not {SAMPLE.id}",
    ),
    (SAMPLE.id, status(404), Unavailable, f"registry HOST lacks {CONFIG}"),
    (
        SAMPLE.id,
        resets(9),
        Unavailable,
        f"registry HOST broke off {CONFIG} 3 times: 9 of {len(SAMPLE.config)} bytes came: unexpected EOF",
    ),
]


@pytest.mark.parametrize(("digest", "fault", "kind", "message"), LAYER_FAULTS)
async def test_a_blob(
    bad: BadRegistry, impatient: ImageStore, digest: str, fault: Fault, kind: type[LinwinError], message: str
) -> None:
    bad.for_ever[digest] = fault
    error = await refused(impatient, bad)
    assert (type(error), error.message) == (kind, message.replace("HOST", bad.host))


@pytest.mark.parametrize("key", ["1", FIRST, SAMPLE.id])
@pytest.mark.parametrize("how", [lambda bad: bad.stalls(5), lambda bad: bad.waits()])
async def test_a_registry_that_stalls(
    bad: BadRegistry, impatient: ImageStore, key: str, how: Callable[[BadRegistry], Fault]
) -> None:
    bad.for_ever[key] = how(bad)
    error = await refused(impatient, bad)
    assert type(error) is Unavailable
    assert (error.message, error.hint) == (f"registry {bad.host} sent nothing for 1 s", KEPT)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_transfer_that_breaks_off_is_tried_again(
    bad: BadRegistry, impatient: ImageStore, told: Told, times: int
) -> None:
    bad.add(SAMPLE)
    bad.faults[FIRST] = [resets(1000)] * times
    image = await (await impatient.pull(bad.name(), [template()], told)).commit()
    assert [layer.blob.read_bytes() for layer in image.layers] == list(SAMPLE.layers)
    retries = [item.status for item in told.progress if item.status.startswith("Retrying")]
    assert retries == [f"Retrying (1000 of {SIZE} bytes came: unexpected EOF)"] * times
    assert bad.requests[FIRST] == times + 1


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
async def test_content_that_does_not_have_the_diff_id(
    bad: BadRegistry, impatient: ImageStore, compression: str | None
) -> None:
    """The blob is what the manifest says, but not what the config says."""
    good = Sample(list(SAMPLE.layers), compression=compression)
    manifest, blobs = good.manifest()
    config = good.config.replace(good.diff_ids[0].encode(), b"sha256:" + b"0" * 64)
    document = json.loads(manifest)
    document["config"] |= {"digest": sha256(config), "size": len(config)}
    bad.manifests["1"] = bad.manifests[sha256(encode(document))] = encode(document)
    bad.blobs = {**blobs, sha256(config): config}
    with pytest.raises(InvalidRequest) as caught:
        await impatient.pull(bad.name(), [template()], ignore)
    assert caught.value.message == (
        f"layer 1 of image {bad.name()} (sha256:{'0' * 64}) is corrupt: "
        f"its content has the diff id {good.diff_ids[0]}"
    )


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_a_blob_that_cannot_be_unpacked(
    bad: BadRegistry, impatient: ImageStore, compression: str
) -> None:
    """As its digest says, it was made so: the registry is not to blame."""
    sample = Sample([layer_tar({"a.txt": bytes(range(256)) * 64})], compression=compression)
    manifest, blobs = sample.manifest()
    document = json.loads(manifest)
    broken = blobs[document["layers"][0]["digest"]][:-20]
    document["layers"][0] |= {"digest": sha256(broken), "size": len(broken)}
    bad.manifests["1"] = bad.manifests[sha256(encode(document))] = encode(document)
    bad.blobs = {**blobs, sha256(broken): broken}
    with pytest.raises(InvalidRequest) as caught:
        await impatient.pull(bad.name(), [template()], ignore)
    assert caught.value.message.startswith(
        f"layer 1 of image {bad.name()} ({sample.diff_ids[0]}) is corrupt: "
    )


async def test_lists_that_nest(bad: BadRegistry, impatient: ImageStore) -> None:
    """A list may hold lists, but not for ever."""
    digest = bad.add(SAMPLE)
    size = len(MANIFEST)
    for depth in range(7):
        index = encode({"schemaVersion": 2, "manifests": [{"digest": digest, "size": size}]})
        digest, size = sha256(index), len(index)
        bad.manifests[digest] = bad.manifests[f"depth{depth}"] = index
    staged = await impatient.pull(bad.name("depth2"), [template()], ignore)
    assert staged.image.id == SAMPLE.id
    await staged.discard()
    with pytest.raises(InvalidRequest) as caught:
        await impatient.pull(bad.name("depth6"), [template()], ignore)
    assert caught.value.message == f"the manifest of image {bad.name('depth6')} nests too many lists"


async def test_a_list_that_tells_too_little(bad: BadRegistry, impatient: ImageStore) -> None:
    """No more than 32 configs are looked at to find out what a list does not say."""
    digest = bad.add(Sample([], os="linux"))
    entry = {"digest": digest, "size": 1}
    bad.manifests["many"] = encode({"schemaVersion": 2, "manifests": [entry] * 33})
    with pytest.raises(InvalidRequest) as caught:
        await impatient.pull(bad.name("many"), [template()], ignore)
    assert caught.value.message == (
        f"the manifest list of image {bad.name('many')} leaves the platforms of more than 32 images open"
    )


async def test_the_first_failure_ends_the_other_layers(bad: BadRegistry, impatient: ImageStore) -> None:
    bad.add(SAMPLE)
    bad.for_ever[FIRST] = bad.stalls(1000)

    async def fail_when_the_other_is_on_its_way(request: Any, data: bytes) -> Any:
        await bad.begun.wait()
        return await status(404)(request, data)

    bad.for_ever[SECOND] = fail_when_the_other_is_on_its_way
    async with asyncio.timeout(30):
        error = await refused(impatient, bad)
    assert error.message.startswith(f"registry {bad.host} lacks layer 2")
