"""The store: finding, tagging, removing, base images, and what lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.errors import Conflict, Forbidden, InvalidRequest, LinwinError, NotFound
from linwin.images import ImageStore, stand_in_diff_id
from linwin.model.image import Image, Removed
from linwin.model.template import BaseImage, Template
from linwin.paths import Paths
from tests.unit.images.archive_writer import (
    NANOSERVER,
    Sample,
    hex_of,
    ignore,
    layer_tar,
    sha256,
    template,
    write,
)

ONE = layer_tar({"one.txt": b"one"})
TWO = layer_tar({"two.txt": b"two"})
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
async def store(paths: Paths) -> ImageStore:
    return ImageStore(paths)


async def load(store: ImageStore, folder: Path, sample: Sample, layout: str = "docker") -> Image:
    members = sample.docker_members() if layout == "docker" else sample.oci_members()
    [staged] = await store.stage(write(folder / "load.tar", members), [template()], ignore)
    return await staged.commit()


async def refusal(store: ImageStore, reference: str, **options: object) -> LinwinError:
    force, used = bool(options.get("force")), options.get("in_use", NOBODY)
    assert isinstance(used, frozenset)
    with pytest.raises(LinwinError) as caught:
        await store.remove(reference, force=force, in_use=used)
    return caught.value


def blobs(paths: Paths) -> set[str]:
    return {f"sha256:{path.name}" for path in (paths.blobs / "sha256").iterdir()}


# Finding


async def test_finds_by_every_name(store: ImageStore, tmp_path: Path) -> None:
    sample = Sample([ONE], tags=["example/app:1.0"])
    image = await load(store, tmp_path, sample, "oci")
    digest = sha256(sample.manifest()[0])
    for name in (
        "example/app:1.0",
        "docker.io/example/app:1.0",
        image.id,
        image.id[7:],
        image.id[7:19],
        image.id[7],
        image.id[:15],
        f"example/app@{digest}",
        f"example/app:whatever@{digest}",
    ):
        assert (await store.resolve(name)).id == image.id, name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("example/app", "example/app:latest"),
        ("docker.io/library/x:1", "x:1"),
        ("sha256:abcd", "sha256:abcd"),
        ("0" * 64, "sha256:" + "0" * 64),
        ("example/app@sha256:" + "0" * 64, "example/app@sha256:" + "0" * 64),
        ("zzz", "zzz:latest"),
    ],
)
async def test_what_is_not_here(store: ImageStore, tmp_path: Path, name: str, shown: str) -> None:
    await load(store, tmp_path, Sample([ONE]))
    with pytest.raises(NotFound) as caught:
        await store.resolve(name)
    assert caught.value.message == f"No such image: {shown}"


async def test_hints_say_what_to_do_about_it(store: ImageStore) -> None:
    with pytest.raises(NotFound) as caught:
        await store.resolve("example/app")
    assert caught.value.hint == (
        "List the images that are here with linwin images; add one with linwin load -i FILE."
    )
    with pytest.raises(NotFound) as caught:
        await store.resolve("microsoft/nanoserver")
    assert caught.value.message == "No such image: microsoft/nanoserver:latest"
    assert caught.value.hint == ("A template can stand in for it; build one with: linwin template build wine")


async def test_an_ambiguous_beginning_finds_nothing(store: ImageStore, tmp_path: Path) -> None:
    first = await load(store, tmp_path, Sample([ONE], tags=[]))
    for number in range(64):
        other = await load(store, tmp_path, Sample([ONE], tags=[], run={"User": str(number)}))
        if other.id[7] == first.id[7]:
            break
    else:
        pytest.fail("64 digests without a common first digit")
    with pytest.raises(NotFound):
        await store.resolve(first.id[7])
    assert (await store.resolve(first.id[7:])).id == first.id


async def test_lists_newest_first(store: ImageStore, tmp_path: Path) -> None:
    times = ["2024-01-01T00:00:00Z", "2024-01-01T00:30:00+02:00", "2025-01-01T00:00:00.5Z"]
    for number, created in enumerate(times):
        await load(store, tmp_path, Sample([ONE], tags=[f"x:{number}"], created=created))
    listed = [image.references[0].rpartition(":")[2] for image in await store.list()]
    assert listed == ["2", "0", "1"]


# Tagging


async def test_a_tag_moves(store: ImageStore, tmp_path: Path) -> None:
    first = await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    second = await load(store, tmp_path, Sample([TWO], tags=["b:1"]))
    await store.tag("a:1", "c")
    assert (await store.resolve("c:latest")).references == (
        "docker.io/library/a:1",
        "docker.io/library/c:latest",
    )
    await store.tag(second.id[7:19], "c")
    assert (await store.resolve("c")).id == second.id
    assert (await store.resolve("a:1")).references == ("docker.io/library/a:1",)
    assert first.id != second.id


async def test_a_load_takes_the_name_of_an_older_image(store: ImageStore, tmp_path: Path) -> None:
    first = await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    second = await load(store, tmp_path, Sample([TWO], tags=["a:1"]))
    assert (await store.resolve("a:1")).id == second.id
    assert (await store.resolve(first.id)).references == ()


async def test_tags_that_are_refused(store: ImageStore, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    with pytest.raises(InvalidRequest) as caught:
        await store.tag("a:1", "b c")
    assert caught.value.message == "invalid reference format"
    with pytest.raises(NotFound) as missing:
        await store.tag("b", "c")
    assert missing.value.message == "No such image: b:latest"


# Removing


async def test_removing_the_last_name_removes_the_image(
    store: ImageStore, paths: Paths, tmp_path: Path, nothing_stored: Callable[[], None]
) -> None:
    image = await load(store, tmp_path, Sample([ONE], tags=["a:1", "b:1"]))
    assert await store.remove("a:1", force=False, in_use=NOBODY) == [Removed(untagged="a:1")]
    assert blobs(paths) == {image.id, sha256(ONE)}
    assert await store.remove("b:1", force=False, in_use=NOBODY) == [
        Removed(untagged="b:1"),
        Removed(deleted=image.id),
    ]
    nothing_stored()
    assert await store.list() == []
    assert (await refusal(store, "b:1")).message == "No such image: b:1"


async def test_blobs_that_others_need_stay(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    kept = await load(store, tmp_path, Sample([ONE, TWO], tags=["b:1"]))
    await store.remove("a:1", force=False, in_use=NOBODY)
    assert blobs(paths) == {kept.id, sha256(ONE), sha256(TWO)}


async def test_removing_by_id(store: ImageStore, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE], tags=["a:1", "b:1"]))
    short = image.id[7:19]
    error = await refusal(store, short)
    assert isinstance(error, Conflict)
    assert error.message == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    )
    assert error.hint == "Remove the references one by one, or all at once with -f."
    assert await store.remove(short, force=True, in_use=NOBODY) == [
        Removed(untagged="a:1"),
        Removed(untagged="b:1"),
        Removed(deleted=image.id),
    ]
    nameless = await load(store, tmp_path, Sample([ONE], tags=[]))
    assert await store.remove(nameless.id, force=False, in_use=NOBODY) == [Removed(deleted=nameless.id)]


async def test_removing_what_a_container_uses(store: ImageStore, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    used, short = frozenset({image.id}), image.id[7:19]
    error = await refusal(store, "a:1", in_use=used)
    assert isinstance(error, Conflict)
    assert error.message == (
        'conflict: unable to remove repository reference "a:1" (must force) - '
        f"a container is using its referenced image {short}"
    )
    assert error.hint == "Remove its containers first, or force with -f."
    assert (await refusal(store, image.id, in_use=used)).message == (
        f"conflict: unable to delete {short} (must be forced) - image is being used by a container"
    )
    await store.tag("a:1", "b:1")
    assert await store.remove("b:1", force=False, in_use=used) == [Removed(untagged="b:1")]
    assert await store.remove("a:1", force=True, in_use=used) == [
        Removed(untagged="a:1"),
        Removed(deleted=image.id),
    ]


async def test_removing_by_digest_removes_the_repositorys_names(store: ImageStore, tmp_path: Path) -> None:
    sample = Sample([ONE], tags=["a:1"])
    image = await load(store, tmp_path, sample, "oci")
    await store.tag("a:1", "a:2")
    await store.tag("a:1", "b:1")
    removed = await store.remove(f"a@{sha256(sample.manifest()[0])}", force=False, in_use=NOBODY)
    assert removed == [Removed(untagged="a:1"), Removed(untagged="a:2")]
    assert (await store.resolve(image.id)).references == ("docker.io/library/b:1",)


# Base images


async def test_a_templates_base_image_has_both_its_names(store: ImageStore) -> None:
    base = BaseImage(("mcr.microsoft.com/windows/nanoserver:latest",), "10.0.20348.2113", "ContainerUser")
    await store.adopt_base_images([template(provides=[base], size=12345)])
    image = await store.resolve("microsoft/nanoserver")
    assert image == await store.resolve("mcr.microsoft.com/windows/nanoserver")
    assert image == await store.resolve(image.id)
    assert [image] == await store.list()
    assert image.references == ("mcr.microsoft.com/windows/nanoserver:latest",)
    assert (image.template, image.size, image.layers, image.base_layers) == ("wine", 12345, (), 1)
    assert image.diff_ids == (stand_in_diff_id("10.0.20348.1"),)
    assert image.config.cmd == ("c:\\windows\\system32\\cmd.exe",)
    assert image.config.user == "ContainerUser"
    assert (image.platform.os, image.platform.os_version) == ("windows", "10.0.20348.2113")
    assert image.created == "2025-01-02T03:04:05Z"


async def test_the_old_name_serves_for_the_new_one_too(store: ImageStore) -> None:
    await store.adopt_base_images([template(provides=[BaseImage(("microsoft/nanoserver",), "10.0.14393.1")])])
    image = await store.resolve("mcr.microsoft.com/windows/nanoserver")
    assert image.references == ("docker.io/microsoft/nanoserver:latest",)


async def test_an_image_built_on_a_base_image_is_known_after_a_rebuild(
    store: ImageStore, tmp_path: Path
) -> None:
    await store.adopt_base_images([template()])
    base = await store.resolve(NANOSERVER)
    image = await load(store, tmp_path, Sample([None, ONE], lacking=base.diff_ids, tags=["app"]))
    assert (image.base_layers, len(image.layers)) == (1, 1)


async def test_a_base_image_cannot_be_removed(store: ImageStore, paths: Paths) -> None:
    await store.adopt_base_images([template()])
    image = await store.resolve(NANOSERVER)
    for name in (NANOSERVER, image.id, image.id[7:19], "microsoft/nanoserver:ltsc2022"):
        error = await refusal(store, name, force=True)
        assert isinstance(error, Forbidden)
        assert error.message == f"image {NANOSERVER} is provided by template wine and cannot be removed"
        assert error.hint == "Remove the template with: linwin template rm wine"
    assert blobs(paths) == {image.id}


async def test_a_users_name_for_a_base_image_comes_and_goes(store: ImageStore, paths: Paths) -> None:
    await store.adopt_base_images([template()])
    image = await store.resolve(NANOSERVER)
    await store.tag(NANOSERVER, "mine")
    await store.tag("mine", NANOSERVER)
    await store.adopt_base_images([])
    assert await store.list() == []
    with pytest.raises(NotFound) as caught:
        await store.resolve("mine")
    assert caught.value.message == "No such image: mine:latest"
    again = ImageStore(paths)
    await again.adopt_base_images([template()])
    assert (await again.resolve("mine")).id == image.id
    assert await again.remove("mine", force=False, in_use=frozenset({image.id})) == [
        Removed(untagged="mine:latest")
    ]
    assert (await again.resolve(NANOSERVER)).references == (NANOSERVER,)


async def test_a_users_image_may_take_a_base_images_name(store: ImageStore, tmp_path: Path) -> None:
    await store.adopt_base_images([template()])
    own = await load(store, tmp_path, Sample([ONE], tags=[NANOSERVER]))
    assert (await store.resolve(NANOSERVER)).id == own.id
    assert await store.remove(NANOSERVER, force=False, in_use=NOBODY) == [
        Removed(untagged=NANOSERVER),
        Removed(deleted=own.id),
    ]
    assert (await store.resolve(NANOSERVER)).template == "wine"


async def test_the_earlier_of_two_templates_is_the_base_image(store: ImageStore) -> None:
    nano = BaseImage((NANOSERVER,), "10.0.20348.1")
    other = BaseImage((NANOSERVER,), "10.0.20348.2")
    templates: list[Template] = [
        template("first", provides=[nano]),
        template("second", provides=[nano, other]),
    ]
    await store.adopt_base_images(templates)
    assert (await store.resolve(NANOSERVER)).template == "first"
    assert len(await store.list()) == 2


async def test_a_template_without_a_time_is_old(store: ImageStore, tmp_path: Path) -> None:
    await store.adopt_base_images([replace(template(), created="")])
    image = await load(store, tmp_path, Sample([ONE], created="1970-01-02T00:00:00Z"))
    newest, *_ = await store.list()
    assert newest.id == image.id


# What lasts


async def test_everything_is_there_after_a_restart(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    await load(store, tmp_path, Sample([ONE, TWO], tags=["b:1"], compression="gzip"), "oci")
    await load(store, tmp_path, Sample([TWO], tags=[]))
    again = ImageStore(paths)
    assert await again.list() == await store.list()


async def test_leftovers_of_an_interrupted_daemon_go(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    image = await load(store, tmp_path, Sample([ONE]))
    before = sorted(path for path in paths.root.rglob("*") if path.is_file())
    (paths.blobs / "sha256" / ("0" * 64)).write_bytes(b"unfinished")
    (paths.image_records / f"{'0' * 64}.json").write_bytes(b"{")
    (paths.image_records / f".{'0' * 64}.json.abc").write_bytes(b"")
    (paths.image_index.parent / ".index.json.abc").write_bytes(b"")
    again = ImageStore(paths)
    assert [found.id for found in await again.list()] == [image.id]
    assert sorted(path for path in paths.root.rglob("*") if path.is_file()) == before


async def test_a_large_index_is_read_again(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    tags = [f"example/{'x' * 200}:{number}" for number in range(18_000)]
    for part in (tags[:9_000], tags[9_000:]):
        await load(store, tmp_path, Sample([ONE], tags=part))
    assert paths.image_index.stat().st_size > 4 << 20
    [image] = await ImageStore(paths).list()
    assert len(image.references) == len(tags)


async def test_blobs_are_read_only(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    await load(store, tmp_path, Sample([ONE]))
    assert {path.stat().st_mode & 0o777 for path in (paths.blobs / "sha256").iterdir()} == {0o400}


# At the same time


async def test_an_image_removed_while_another_load_found_its_layer(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    archive = write(tmp_path / "other.tar", Sample([ONE, TWO], tags=["b:1"]).docker_members())
    [staged] = await store.stage(archive, [template()], ignore)
    await store.remove("a:1", force=False, in_use=NOBODY)
    assert (paths.blobs / "sha256" / hex_of(ONE)).exists()
    image = await staged.commit()
    await staged.discard()
    assert [layer.blob.read_bytes() for layer in image.layers] == [ONE, TWO]


async def test_loads_and_removals_in_any_order_leave_whole_images(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    async def churn(number: int) -> None:
        archive = write(tmp_path / f"{number}.tar", Sample([ONE, TWO], tags=[f"x:{number}"]).docker_members())
        for turn in range(8):
            [staged] = await store.stage(archive, [template()], ignore)
            if turn % 3 == 1:
                await staged.discard()
                continue
            image = await staged.commit()
            assert [layer.blob.read_bytes() for layer in image.layers] == [ONE, TWO]
            if turn % 3 == 2:
                await store.remove(f"x:{number}", force=True, in_use=NOBODY)

    await asyncio.gather(*(churn(number) for number in range(4)))
    remaining = await store.list()
    needed = {
        digest for image in remaining for digest in (image.id, *(layer.digest for layer in image.layers))
    }
    assert blobs(paths) == needed


async def test_the_same_image_loaded_twice_is_one(store: ImageStore, paths: Paths, tmp_path: Path) -> None:
    first = await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    second = await load(store, tmp_path, Sample([ONE], tags=["a:1"], compression="gzip"))
    # Somebody may be reading the first one's blobs, so they stay and the second's go.
    assert second == first
    assert blobs(paths) == {first.id, sha256(ONE)}


async def test_an_image_that_comes_with_a_manifest_brings_its_own_blobs(
    store: ImageStore, paths: Paths, tmp_path: Path
) -> None:
    sample = Sample([ONE], tags=["a:1"], compression="gzip")
    manifest, brought = sample.manifest()
    await load(store, tmp_path, Sample([ONE], tags=["a:1"]))
    image = await load(store, tmp_path, sample, "oci")
    assert blobs(paths) == brought.keys()
    assert image.digests == (f"docker.io/library/a@{sha256(manifest)}",)
    assert await load(store, tmp_path, sample) == image  # one without a manifest says no more
    assert await store.list() == [image]
