"""Images that stand on a template's stand-in, pushed on the real base image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from linwin.errors import Conflict
from linwin.images import ImageStore, stand_in_diff_id
from linwin.images.aliases import Aliases
from linwin.images.bases import base_config
from linwin.images.configs import parse_config
from linwin.images.registry.rebase import real_base, rebased_config, stands_on_stand_in
from linwin.model.image import Image
from linwin.model.progress import Progress
from linwin.model.template import BaseImage
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
    write,
)
from tests.unit.images.registry.conftest import Told

WINE = BaseImage(
    ("docker.io/microsoft/nanoserver:latest", "mcr.microsoft.com/windows/nanoserver:ltsc2022"),
    "10.0.20348.0",
    "ContainerUser",
)
TEMPLATE = template(provides=[WINE])
STAND_IN = stand_in_diff_id("10.0.20348.0")
APPLY = json.loads(base_config(WINE))["history"]
RUN = {"created_by": "cmd /S /C echo hi > C:\\hi.txt"}
EMPTY = {"created_by": "cmd /S /C #(nop) ENV A=b", "empty_layer": True}

OWN = layer_tar({"hi.txt": b"hi"})
BUILT = Sample(
    [None, OWN],
    lacking=[STAND_IN],
    tags=["example/built:1"],
    os_version="10.0.20348.0",
    history=[*APPLY, EMPTY, RUN],
    run={"Cmd": ["cmd"], "User": "ContainerUser"},
)
"""What a build on the template's base image makes."""


def real(os_version: str, number: int) -> Sample:
    """A base image as Microsoft makes them: two layers, no manifest of linwin's."""
    return Sample(
        [layer_tar({"windows": bytes([number])}), layer_tar({"update": bytes([number])})],
        compression="gzip",
        os_version=os_version,
        history=[
            {"created_by": f"Apply image {os_version}", "created": "2024-01-01T00:00:00Z"},
            {"created_by": f"Install update {os_version}", "created": "2024-01-01T00:00:00Z"},
        ],
    )


REAL = real("10.0.20348.2113", 1)
OLDER = real("10.0.20348.1906", 2)
OTHER = real("10.0.17763.5329", 3)


def provide(registry: RegistryServer, tmp_path: Path, samples: Sequence[Sample]) -> None:
    """Let the registry have nanoserver:latest, a list of these images."""
    descriptors = []
    for sample in samples:
        archive = write(tmp_path / "base.tar", sample.oci_members())
        registry.push(f"oci-archive:{archive}", f"nanoserver:{sample.os_version}")
        manifest = sample.manifest()[0]
        platform = {"os": "windows", "architecture": "amd64", "os.version": sample.os_version}
        descriptors.append(
            {
                "mediaType": OCI_MANIFEST,
                "digest": sha256(manifest),
                "size": len(manifest),
                "platform": platform,
            }
        )
    index = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors})
    registry.put_manifest("nanoserver:latest", index, OCI_INDEX)


def configure(paths: Paths, registry: RegistryServer) -> None:
    """Let the retired name lead to this registry, as a user may."""
    registry.configure(paths)
    paths.aliases.write_text(f"microsoft/nanoserver: {registry.name('nanoserver')}\n")


async def built(paths: Paths, tmp_path: Path, sample: Sample = BUILT) -> ImageStore:
    store = ImageStore(paths)
    await store.adopt_base_images([TEMPLATE])
    archive = write(tmp_path / "built.tar", sample.docker_members())
    [staged] = await store.stage(archive, [TEMPLATE], ignore)
    await staged.commit()
    return store


async def tagged(store: ImageStore, target: str) -> Image:
    await store.tag("example/built:1", target)
    return await store.resolve(target)


async def test_the_real_base_takes_the_stand_ins_place(
    paths: Paths, registry: RegistryServer, tmp_path: Path, told: Told
) -> None:
    configure(paths, registry)
    provide(registry, tmp_path, [OTHER, OLDER, REAL])
    store = await built(paths, tmp_path)
    target = registry.name("team/app:1")
    before = await tagged(store, target)
    pushed = await store.push(target, told)

    manifest = json.loads(registry.manifest("team/app:1"))
    base_layers = json.loads(REAL.manifest()[0])["layers"]
    assert manifest["layers"][:2] == base_layers
    assert manifest["layers"][2]["digest"] == sha256(OWN)
    config = json.loads(registry.blob_file(manifest["config"]["digest"]).read_text())
    assert config["rootfs"]["diff_ids"] == [*REAL.diff_ids, sha256(OWN)]
    assert config["history"] == [*REAL.history, EMPTY, RUN]
    assert config["os.version"] == "10.0.20348.2113"
    assert config["config"] == {"Cmd": ["cmd"], "User": "ContainerUser"}
    assert told.of(REAL.diff_ids[0]) == ["Preparing", "Mounted from nanoserver"]
    assert (
        Progress(f"Put on {registry.host}/nanoserver:latest, which is for Windows 10.0.20348.2113")
        in told.progress
    )

    after = await store.resolve(target)
    assert after.id == manifest["config"]["digest"] != before.id
    assert (await store.resolve("example/built:1")).id == after.id
    assert (after.base_layers, after.layers) == (2, before.layers)
    assert after.digests[0].endswith(pushed.digest)
    assert (await store.resolve(before.id)).references == ()
    assert await store.push(target, ignore) == pushed


async def test_what_was_rebased_is_the_same_wherever_it_is_pulled(
    paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    configure(paths, registry)
    provide(registry, tmp_path, [REAL])
    store = await built(paths, tmp_path)
    target = registry.name("team/app:1")
    await tagged(store, target)
    pushed = await store.push(target, ignore)

    there = Paths(tmp_path / "elsewhere", tmp_path)
    registry.configure(there)
    elsewhere = ImageStore(there)
    pulled = await elsewhere.pull(target, [TEMPLATE], ignore)
    image = await pulled.commit()
    assert (pulled.digest, image.id) == (pushed.digest, (await store.resolve(target)).id)
    assert image.base_layers == 2
    assert await elsewhere.push(target, ignore) == pushed


async def test_the_same_image_on_the_same_base_gives_the_same_digest(
    paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    provide(registry, tmp_path, [REAL])
    digests = set()
    for name in ("one", "two"):
        root = Paths(tmp_path / name, tmp_path)
        root.root.mkdir()
        configure(root, registry)
        store = await built(root, tmp_path)
        await tagged(store, registry.name(f"team/{name}:1"))
        digests.add((await store.push(registry.name(f"team/{name}:1"), ignore)).digest)
    assert len(digests) == 1


async def test_a_templates_base_image_is_pushed_as_the_real_one(
    paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    configure(paths, registry)
    provide(registry, tmp_path, [OLDER, REAL])
    store = await built(paths, tmp_path)
    target = registry.name("team/base:1")
    await store.tag("mcr.microsoft.com/windows/nanoserver:ltsc2022", target)
    before = await store.resolve(target)
    pushed = await store.push(target, ignore)
    assert registry.manifest("team/base:1") == REAL.manifest()[0]
    assert pushed.digest == sha256(REAL.manifest()[0])
    assert (await store.resolve(target)).id == before.id


@pytest.mark.parametrize("samples", [[OTHER], [OTHER, OLDER]])
async def test_which_windows_a_base_is_for(
    paths: Paths, registry: RegistryServer, tmp_path: Path, samples: list[Sample]
) -> None:
    """The same build before any other, and another only when there is no choice."""
    configure(paths, registry)
    provide(registry, tmp_path, samples)
    store = await built(paths, tmp_path)
    target = registry.name("team/app:1")
    await tagged(store, target)
    await store.push(target, ignore)
    image = await store.resolve(target)
    assert image.platform.os_version == samples[-1].os_version
    assert image.base_layers == 2


async def test_a_base_without_an_image_of_the_build(
    paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    configure(paths, registry)
    provide(registry, tmp_path, [OTHER, real("10.0.26100.1", 4)])
    store = await built(paths, tmp_path)
    target = registry.name("team/app:1")
    before = await tagged(store, target)
    base = registry.name("nanoserver:latest")
    with pytest.raises(Conflict) as raised:
        await store.push(target, ignore)
    assert raised.value.message == (
        f"image {target} cannot be pushed: a template stands in for its base image {base}, and the real "
        f"one cannot be had: {base} has no image for Windows 10.0.20348 "
        "(there: 10.0.17763.5329, 10.0.26100.1)"
    )
    assert (await store.resolve(target)).id == before.id


async def test_a_base_that_cannot_be_reached(paths: Paths, registry: RegistryServer, tmp_path: Path) -> None:
    configure(paths, registry)
    store = await built(paths, tmp_path)
    target = registry.name("team/app:1")
    await tagged(store, target)
    base = registry.name("nanoserver:latest")
    with pytest.raises(Conflict) as raised:
        await store.push(target, ignore)
    assert raised.value.message == (
        f"image {target} cannot be pushed: a template stands in for its base image {base}, and the real "
        f"one cannot be had: manifest for {base} not found: manifest unknown: manifest unknown"
    )
    assert raised.value.hint == (
        f"Connect this host to {registry.host}, or name another home for the base image "
        f"in {paths.aliases}, then push again."
    )


async def test_an_image_that_does_not_say_what_it_stands_on(
    paths: Paths, registry: RegistryServer, tmp_path: Path
) -> None:
    configure(paths, registry)
    silent = Sample([None, OWN], lacking=[STAND_IN], tags=["example/built:1"], os_version="10.0.20348.0")
    store = await built(paths, tmp_path, silent)
    target = registry.name("team/app:1")
    await tagged(store, target)
    with pytest.raises(Conflict) as raised:
        await store.push(target, ignore)
    assert raised.value.message == (
        f"image {target} cannot be pushed: its base layers are not stored here, "
        "and nothing says which registry has them"
    )


def test_a_templates_base_image_tells_the_real_one(paths: Paths) -> None:
    config = parse_config(base_config(WINE), "config")
    assert stands_on_stand_in(config)
    assert str(real_base(config, Aliases(paths.aliases))) == "mcr.microsoft.com/windows/nanoserver:latest"


@pytest.mark.parametrize("comment", ["", "linwin's stand-in for A B", "linwin's stand-in for "])
def test_what_history_does_not_tell(paths: Paths, comment: str) -> None:
    sample = Sample([OWN], history=[{"comment": comment}])
    config = parse_config(sample.config, "config")
    assert real_base(config, Aliases(paths.aliases)) is None
    assert not stands_on_stand_in(config)


@pytest.mark.parametrize(
    ("history", "above"),
    [
        ([*APPLY, EMPTY, RUN, EMPTY], [EMPTY, RUN, EMPTY]),
        ([EMPTY, *APPLY, RUN], [RUN]),
        (APPLY, [{}]),  # says nothing of the layer above
        ([], [{}]),
    ],
)
def test_the_lines_of_history_above_the_base(
    history: Sequence[Mapping[str, Any]], above: list[Mapping[str, Any]]
) -> None:
    sample = Sample([None, OWN], lacking=[STAND_IN], history=history)
    rebased = json.loads(rebased_config(sample.config, 1, REAL.config))
    assert rebased["history"] == [*REAL.history, *above]


def test_features_of_windows_come_from_the_base() -> None:
    own = encode({**json.loads(BUILT.config), "os.features": ["win32k"]})
    assert "os.features" not in json.loads(rebased_config(own, 1, REAL.config))
    base = encode({**json.loads(REAL.config), "os.features": ["win32k"]})
    assert json.loads(rebased_config(BUILT.config, 1, base))["os.features"] == ["win32k"]
