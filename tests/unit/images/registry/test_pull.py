"""Pulls from Debian's own registry."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import InvalidRequest, NotFound, Unavailable
from linwin.images import ImageStore
from linwin.model.image import Image
from linwin.model.registry import Credentials
from linwin.paths import Paths
from tests.registry_server import RegistryServer, serve_registry
from tests.unit.images.archive_writer import (
    Sample,
    ignore,
    layer_tar,
    sha256,
    template,
    write,
)
from tests.unit.images.registry.conftest import Told

LAYERS = [layer_tar({f"{number}.txt": bytes([number]) * 5000}) for number in range(5)]


def push(registry: RegistryServer, sample: Sample, tmp_path: Path, name: str = "app:1") -> dict[str, Any]:
    """Put an image into a registry as it is; return its manifest, read."""
    archive = write(tmp_path / "pushed.tar", sample.oci_members())
    registry.push(f"oci-archive:{archive}", name)
    manifest: dict[str, Any] = json.loads(registry.manifest(name))
    assert manifest == json.loads(sample.manifest()[0])
    return manifest


async def pull(paths: Paths, reference: str, **more: Any) -> Image:
    staged = await ImageStore(paths).pull(reference, [template()], ignore, **more)
    return await staged.commit()


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
async def test_an_image_arrives_as_it_was_pushed(
    registry: RegistryServer, paths: Paths, tmp_path: Path, compression: str | None
) -> None:
    sample = Sample(LAYERS, run={"Cmd": ["app.exe"]}, compression=compression)
    push(registry, sample, tmp_path)
    registry.configure(paths)
    store = ImageStore(paths)
    staged = await store.pull(registry.name("app:1"), [template()], ignore)
    assert await store.list() == []
    image = await staged.commit()
    assert image == staged.image
    assert image.id == sample.id
    assert image.references == (registry.name("app:1"),)
    assert image.digests == (f"{registry.name('app')}@{sha256(sample.manifest()[0])}",)
    assert staged.digest == sha256(sample.manifest()[0])
    assert staged.saved == 0
    assert image.diff_ids == tuple(map(sha256, LAYERS))
    assert image.base_layers == 0
    assert image.config.cmd == ("app.exe",)
    blobs = sample.manifest()[1]
    assert [layer.blob.read_bytes() for layer in image.layers] == [
        blobs[layer.digest] for layer in image.layers
    ]
    suffix = f"+{compression}" if compression else ""
    assert {layer.media_type for layer in image.layers} == {f"application/vnd.oci.image.layer.v1.tar{suffix}"}
    assert (await store.usage())[1] == 0
    assert list(paths.pulls.iterdir()) == []
    assert [found.id for found in await ImageStore(paths).list()] == [sample.id]


async def test_schema_2(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    archive = write(tmp_path / "a.tar", Sample(LAYERS).docker_members())
    registry.skopeo(
        "copy",
        "--quiet",
        "--format",
        "v2s2",
        f"docker-archive:{archive}",
        f"docker://{registry.name('app:1')}",
    )
    registry.configure(paths)
    image = await pull(paths, registry.name("app:1"))
    assert image.diff_ids == tuple(map(sha256, LAYERS))
    assert {layer.media_type for layer in image.layers} == {
        "application/vnd.docker.image.rootfs.diff.tar.gzip"
    }


async def test_what_is_told(registry: RegistryServer, paths: Paths, tmp_path: Path, told: Told) -> None:
    """docker's words, in docker's order."""
    sample = Sample(LAYERS, history=[{"created_by": "Apply image 10.0"}, *[{"created_by": "x"}] * 4])
    blobs = [layer["digest"] for layer in push(registry, sample, tmp_path, "some/app:1")["layers"]]
    registry.configure(paths)
    staged = await ImageStore(paths).pull(registry.name("some/app:1"), [template()], told)
    await staged.discard()
    said = [(item.status, item.id) for item in told.progress]
    short = [digest[7:19] for digest in blobs]
    assert said[:7] == [
        ("Pulling from some/app", "1"),
        ("Provided by template wine", short[0]),
        *[("Pulling fs layer", layer) for layer in short[1:]],
        ("Waiting", short[4]),
    ]
    for digest, layer in zip(blobs[1:4], LAYERS[1:4], strict=True):
        assert told.of(digest) == [
            "Pulling fs layer",
            "Downloading",
            "Verifying Checksum",
            "Download complete",
        ]
        whole = [item for item in told.progress if item.id == digest[7:19] and item.status == "Downloading"]
        assert (whole[-1].current, whole[-1].total) == (len(layer), len(layer))
    assert told.of(blobs[4])[:3] == ["Pulling fs layer", "Waiting", "Downloading"]


async def test_base_layers_are_not_downloaded(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    made_by = ["Apply image 10.0", "Install update 10.0", "one", "two", "three"]
    sample = Sample(LAYERS, history=[{"created_by": line} for line in made_by])
    layers = push(registry, sample, tmp_path)["layers"]
    for layer in layers[:2]:
        registry.blob_file(layer["digest"]).unlink()
    registry.configure(paths)
    staged = await ImageStore(paths).pull(registry.name("app:1"), [template()], ignore)
    image = await staged.commit()
    assert staged.saved == layers[0]["size"] + layers[1]["size"]
    assert image.base_layers == 2
    assert [layer.diff_id for layer in image.layers] == list(map(sha256, LAYERS[2:]))


async def test_what_is_here_is_not_fetched_again(
    registry: RegistryServer, paths: Paths, tmp_path: Path, told: Told
) -> None:
    first, second = Sample(LAYERS[:2]), Sample(LAYERS[:3], run={"Cmd": ["other"]})
    push(registry, first, tmp_path, "first:1")
    layers = push(registry, second, tmp_path, "second:1")["layers"]
    registry.configure(paths)
    await pull(paths, registry.name("first:1"))
    for layer in layers[:2]:
        registry.blob_file(layer["digest"]).unlink()
    staged = await ImageStore(paths).pull(registry.name("second:1"), [template()], told)
    image = await staged.commit()
    assert [told.of(layer["digest"]) for layer in layers[:2]] == [["Pulling fs layer", "Already exists"]] * 2
    assert [layer.blob.read_bytes() for layer in image.layers] == LAYERS[:3]


async def test_a_pull_by_digest(registry: RegistryServer, paths: Paths, tmp_path: Path, told: Told) -> None:
    sample = Sample(LAYERS[:1])
    push(registry, sample, tmp_path)
    registry.configure(paths)
    name = f"{registry.name('app')}@{sha256(sample.manifest()[0])}"
    store = ImageStore(paths)
    image = await (await store.pull(name, [template()], told)).commit()
    assert (image.references, image.digests) == ((), (name,))
    assert told.progress[0].id == sha256(sample.manifest()[0])
    assert (await store.resolve(name)).id == image.id
    removed = await store.remove(name, force=False, in_use=frozenset())
    assert [item.deleted for item in removed] == [None, image.id]


async def test_a_digest_goes_with_the_last_tag_of_its_repository(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    """docker's rule: it is not what keeps an image, nor what makes its removal need force."""
    sample = Sample(LAYERS[:1])
    push(registry, sample, tmp_path)
    registry.configure(paths)
    store = ImageStore(paths)
    tag, digest = registry.name("app:1"), f"{registry.name('app')}@{sha256(sample.manifest()[0])}"

    async def pull_both() -> str:
        await (await store.pull(tag, [template()], ignore)).commit()
        return (await (await store.pull(digest, [template()], ignore)).commit()).id

    image_id = await pull_both()
    for name in (tag, image_id):
        removed = await store.remove(name, force=False, in_use=frozenset())
        assert [item.untagged for item in removed] == [tag, digest, None]
        assert removed[-1].deleted == await pull_both()
    removed = await store.remove(digest, force=False, in_use=frozenset())
    assert [(item.untagged, item.deleted) for item in removed] == [(digest, None)]
    await store.tag(tag, "other:1")
    removed = await store.remove(tag, force=False, in_use=frozenset())
    assert [(item.untagged, item.deleted) for item in removed] == [(tag, None)]


async def test_an_alias(registry: RegistryServer, paths: Paths, tmp_path: Path, told: Told) -> None:
    """It leads elsewhere, and the image is called as the user called it."""
    push(registry, Sample(LAYERS[:1]), tmp_path, "windows/app:1")
    registry.configure(paths)
    paths.aliases.write_text(f"microsoft/app: {registry.name('windows/app')}\n")
    staged = await ImageStore(paths).pull("microsoft/app:1", [template()], told)
    image = await staged.commit()
    assert image.references == ("docker.io/microsoft/app:1",)
    assert image.digests == (f"docker.io/microsoft/app@{staged.digest}",)
    assert [item.status for item in told.progress[:2]] == [
        "Pulling from windows/app",
        f"microsoft/app moved to {registry.name('windows/app')}",
    ]


async def test_what_the_registry_does_not_have(registry: RegistryServer, paths: Paths) -> None:
    registry.configure(paths)
    with pytest.raises(NotFound) as caught:
        await pull(paths, registry.name("app:2"))
    assert caught.value.message == (
        f"manifest for {registry.name('app:2')} not found: manifest unknown: manifest unknown"
    )


async def test_credentials(paths: Paths, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry", users={"ada": "secret:ü"}) as registry:
        push(registry, Sample(LAYERS[:1]), tmp_path)
        registry.configure(paths)
        for wrong in (None, Credentials("ada", "guess"), Credentials("ada", "secret:ü", server="docker.io")):
            with pytest.raises(NotFound) as caught:
                await pull(paths, registry.name("app:1"), credentials=wrong)
            assert caught.value.message == (
                f"pull access denied for {registry.name('app')}, "
                "repository does not exist or may require 'docker login'"
            )
            assert caught.value.hint == f"Log in with: linwin login {registry.host}"
        for right in (Credentials("ada", "secret:ü"), Credentials("ada", "secret:ü", server=registry.host)):
            assert (await pull(paths, registry.name("app:1"), credentials=right)).references


async def test_nobody_pulls_with_what_the_daemons_user_keeps(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that a user started has his variables, and other users."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serve_registry(tmp_path / "registry", users={"ada": "secret"}) as registry:
        push(registry, Sample(LAYERS[:1]), tmp_path)
        registry.configure(paths)
        kept = {"auths": {registry.host: {"auth": base64.b64encode(b"ada:secret").decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(kept))
        with pytest.raises(NotFound, match="pull access denied for"):
            await pull(paths, registry.name("app:1"))


async def test_credentials_do_not_follow_an_alias(paths: Paths, tmp_path: Path) -> None:
    """They were given for another registry."""
    with serve_registry(tmp_path / "registry", users={"ada": "secret"}) as registry:
        push(registry, Sample(LAYERS[:1]), tmp_path)
        registry.configure(paths)
        paths.aliases.write_text(f"example/app: {registry.name('app')}\n")
        with pytest.raises(NotFound, match="pull access denied for example/app"):
            await pull(paths, "example/app:1", credentials=Credentials("ada", "secret"))


async def test_plain_http_must_be_allowed(registry: RegistryServer, paths: Paths) -> None:
    with pytest.raises(Unavailable) as caught:
        await pull(paths, registry.name("app:1"))
    assert caught.value.message == f"registry {registry.host} speaks plain http, which is not allowed for it"
    assert caught.value.hint == f"Set insecure = true for that registry in {paths.registries_conf}."


async def test_tls(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_registry(tmp_path / "registry", tls=True) as registry:
        push(registry, Sample(LAYERS[:1]), tmp_path)
        registry.configure(paths)
        with pytest.raises(Unavailable) as caught:
            await pull(paths, registry.name("app:1"))
        assert caught.value.message == (
            f"registry {registry.host} cannot be trusted: x509: certificate signed by unknown authority"
        )
        assert caught.value.hint == (
            f"Put its authority's certificate into /etc/containers/certs.d/{registry.host}/ca.crt."
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(registry.certificate))
        assert (await pull(paths, registry.name("app:1"))).references


async def test_a_mirror(paths: Paths, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "mirror") as mirror:
        push(mirror, Sample(LAYERS[:1]), tmp_path, "copy/app:1")
        paths.root.mkdir()
        paths.registries_conf.write_text(
            '[[registry]]\nlocation = "registry.invalid/app"\n'
            f'[[registry.mirror]]\nlocation = "{mirror.name("copy/app")}"\ninsecure = true\n'
        )
        image = await pull(paths, "registry.invalid/app:1")
        assert image.references == ("registry.invalid/app:1",)


async def test_a_configuration_that_is_none(paths: Paths) -> None:
    paths.root.mkdir()
    paths.registries_conf.write_text("[[registry")
    with pytest.raises(InvalidRequest) as caught:
        await pull(paths, "registry.invalid/app:1")
    assert caught.value.message.startswith("the registries' configuration cannot be used: ")
    assert caught.value.hint == f"Mend {paths.registries_conf}."


async def test_nothing_listens(paths: Paths) -> None:
    with pytest.raises(Unavailable) as caught:
        await pull(paths, "127.0.0.1:1/app:1")
    assert caught.value.message == "registry 127.0.0.1:1 cannot be reached: connection refused"
    assert caught.value.hint == (
        "Check its name, this host's network, and HTTPS_PROXY and NO_PROXY of the daemon."
    )


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("App", "invalid reference format: repository name (library/App) must be lowercase"),
        (
            "a@sha512:" + "0" * 128,
            f"cannot pull a@sha512:{'0' * 128}: linwin knows images by sha256 digests only",
        ),
    ],
)
async def test_what_cannot_be_pulled(paths: Paths, reference: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await pull(paths, reference)
    assert caught.value.message == message


async def test_a_loaded_image_learns_its_digest(
    registry: RegistryServer, paths: Paths, tmp_path: Path
) -> None:
    """A docker-archive has no manifest; pulled, the same image has one, and its blobs with it."""
    sample = Sample(LAYERS[:2], tags=["loaded:1"])
    store = ImageStore(paths)
    [staged] = await store.stage(write(tmp_path / "a.tar", sample.docker_members()), [template()], ignore)
    assert (await staged.commit()).digests == ()
    zipped = Sample(LAYERS[:2], tags=["loaded:1"], compression="gzip")
    push(registry, zipped, tmp_path)
    registry.configure(paths)
    image = await (await store.pull(registry.name("app:1"), [template()], ignore)).commit()
    assert image.id == sample.id
    assert set(image.references) == {"docker.io/library/loaded:1", registry.name("app:1")}
    assert {digest.partition("@")[2] for digest in image.digests} == {sha256(zipped.manifest()[0])}
    assert {layer.digest for layer in image.layers} < set(zipped.manifest()[1])
    stored = {f"sha256:{path.name}" for path in (paths.blobs / "sha256").iterdir()}
    assert stored == set(zipped.manifest()[1])


async def test_an_image_without_layers(registry: RegistryServer, paths: Paths, tmp_path: Path) -> None:
    push(registry, Sample([]), tmp_path)
    registry.configure(paths)
    assert (await pull(paths, registry.name("app:1"))).layers == ()
