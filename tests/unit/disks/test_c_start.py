"""Disks on which C: is one partition of three: applied to, read, written and compared in the right place.

The template is one that is built from ISOs (tests/unit/templates/windows); what is on C: is told by
dissect.ntfs, from the disk's raw bytes.
"""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from linwin.disks import ChainDisks
from linwin.disks.c_start import c_start, note_of
from linwin.errors import Internal
from linwin.model.files import Change, parse_path
from linwin.model.image import Layer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.conftest import chain_file
from tests.unit.layers.windows_tar import docker_on_windows
from tests.unit.templates.windows import media
from tests.unit.templates.windows.place import Place
from tests.unit.templates.windows.readers import Disk

Store = Callable[[bytes], Layer]
APP = docker_on_windows({"app/a.txt": b"of the layer"})


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Template:
    place = Place(tmp_path_factory.mktemp("windows"))

    async def build() -> Template:
        return await place.build(await media.windows_iso(place.folder), media.virtio_iso(place.folder))

    return asyncio.run(build())


@pytest.fixture
async def container(disks: ChainDisks, built: Template, paths: Paths, store: Store) -> tuple[Path, str]:
    """A container's disk on a chain of one layer, and the chain's id."""
    chain_id, end = await disks.chain(built, [store(APP)], lambda _: None)
    overlay = paths.overlay("c1")
    await disks.overlay(end, overlay, uid=os.getuid())
    return overlay, chain_id


def archive(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{name}.txt")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def file_on(disk: Path, path: str, folder: Path) -> bytes:
    folder.mkdir()
    opened = Disk(disk, folder)
    try:
        return opened.file(path)
    finally:
        opened.close()


async def test_a_layer_is_applied_to_the_partition(container: tuple[Path, str], tmp_path: Path) -> None:
    overlay, _ = container
    assert file_on(overlay, "app/a.txt", tmp_path / "read") == b"of the layer"
    media.run("sgdisk", "--verify", tmp_path / "read/disk.raw")


async def test_files_are_written_and_read_back(
    disks: ChainDisks, container: tuple[Path, str], tmp_path: Path
) -> None:
    overlay, _ = container
    files = disks.files(overlay)
    await files.write(parse_path("C:\\app"), archive(tmp_path / "b.tar", b=b"copied"), keep_kinds=False)
    assert file_on(overlay, "app/b.txt", tmp_path / "read") == b"copied"
    pieces = [piece async for piece in files.read(parse_path("C:\\app\\b.txt"))]
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        found = tar.extractfile("b.txt")
        assert found is not None
        assert found.read() == b"copied"


async def test_what_changed_becomes_a_layer(
    disks: ChainDisks, built: Template, container: tuple[Path, str], store: Store, tmp_path: Path
) -> None:
    overlay, _ = container
    written = archive(tmp_path / "b.tar", b=b"copied")
    await disks.files(overlay).write(parse_path("C:\\app"), written, keep_kinds=False)
    assert await disks.changes(overlay) == [Change("modified", "/app"), Change("added", "/app/b.txt")]
    layer = tmp_path / "layer.tar"
    await disks.layer(overlay, layer, kind="windows")
    _, end = await disks.chain(built, [store(APP), store(layer.read_bytes())], lambda _: None)
    assert file_on(end, "app/b.txt", tmp_path / "read") == b"copied"


async def test_what_is_written_before_c_is_no_change(
    disks: ChainDisks, container: tuple[Path, str], tmp_path: Path
) -> None:
    """Firmware and Windows write to the boot partition."""
    overlay, _ = container
    media.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 1M 64k", overlay)
    media.run("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 116M 1M", overlay)
    assert await disks.changes(overlay) == []


async def test_a_snapshot_knows_where_c_is(
    disks: ChainDisks, built: Template, container: tuple[Path, str]
) -> None:
    overlay, _ = container
    snapshot = overlay.with_name("snapshot.qcow2")
    await disks.copy(overlay, snapshot)
    assert c_start(snapshot) == c_start(overlay) == built.c_start


async def test_a_check_looks_at_the_volume(
    disks: ChainDisks, built: Template, container: tuple[Path, str], paths: Paths
) -> None:
    _, chain_id = container
    needed = frozenset({chain_id})
    assert await disks.check(needed, [built], lambda _: None, repair=False) == []
    note = note_of(chain_file(paths, built.digest))
    note.unlink()  # as if C: were the whole disk
    problems = [found.problem for found in await disks.check(needed, [built], lambda _: None, repair=False)]
    assert any("shows no volume that can be opened" in problem for problem in problems), problems


async def test_the_note_goes_with_its_chain(
    disks: ChainDisks, built: Template, container: tuple[Path, str], paths: Paths
) -> None:
    overlay, chain_id = container
    note = note_of(chain_file(paths, built.digest))
    await disks.prune(frozenset({chain_id}))
    assert note.exists()
    overlay.unlink()
    await disks.prune(frozenset())
    assert list(paths.chains.iterdir()) == []


async def test_a_note_without_a_chain_goes_too(disks: ChainDisks, paths: Paths) -> None:
    paths.chains.mkdir(parents=True)
    note = note_of(chain_file(paths, "sha256:" + "cd" * 32))
    note.write_text("1\n")  # of a daemon that was killed before the disk came
    await disks.prune(frozenset())
    assert not note.exists()


def test_a_disk_that_is_a_volume_has_no_note(base: Template, paths: Paths) -> None:
    assert c_start(base.c_disk) == 0


async def test_a_damaged_note_is_told(
    built: Template, container: tuple[Path, str], disks: ChainDisks, paths: Paths
) -> None:
    overlay, _ = container
    note = note_of(chain_file(paths, built.digest))
    note.chmod(0o644)
    note.write_text("somewhere")
    with pytest.raises(Internal) as caught:
        await disks.changes(overlay)
    assert caught.value.message == f"{note} does not say where C: begins"


async def test_templates_of_two_forms_share_a_root(
    disks: ChainDisks, built: Template, base: Template, store: Store, tmp_path: Path
) -> None:
    layer = store(APP)
    _, plain = await disks.chain(replace(base), [layer], lambda _: None)
    _, parted = await disks.chain(built, [layer], lambda _: None)
    assert (c_start(plain), c_start(parted)) == (0, built.c_start)
