"""What is in a folder of a disk at rest, and copies of such a disk."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.disks import ChainDisks, files_job
from linwin.errors import InvalidRequest, NotFound, Unavailable
from linwin.model.files import parse_path
from linwin.model.image import Layer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.layers.windows_tar import SYMBOLIC_LINK, LayerTar


@pytest.fixture
async def overlay(disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], paths: Paths) -> Path:
    tar = LayerTar().directory("Files").directory("Files/Data").directory("Files/Data/sub")
    tar.add("Files/Data/b.txt", b"b").add("Files/Data/A.txt", b"a").add("Files/Data/ü", b"")
    tar.add("Files/Data/to sub", type=SYMBOLIC_LINK, link="sub", pax={"MSWINDOWS.fileattr": "1040"})
    tar.add("Files/to data", type=SYMBOLIC_LINK, link="Data", pax={"MSWINDOWS.fileattr": "1040"})
    _, end = await disks.chain(base, [store(tar.directory("Hives").bytes())], lambda _: None)
    path = paths.container("c" * 64) / "c.qcow2"
    await disks.overlay(end, path, uid=os.getuid())
    return path


def held(disk: Path) -> bytes:
    return disk.read_bytes()


def beside(path: Path) -> list[str]:
    return sorted(found.name for found in path.parent.iterdir())


DATA = [("A.txt", False), ("b.txt", False), ("sub", True), ("to sub", False), ("ü", False)]


@pytest.mark.parametrize("path", ["/Data", "c:\\data\\", "/to data"])
async def test_names_come_in_order_and_links_are_no_folders(
    disks: ChainDisks, overlay: Path, path: str
) -> None:
    assert await disks.files(overlay).names(parse_path(path)) == DATA


async def test_names_of_the_root_and_of_an_empty_folder(disks: ChainDisks, overlay: Path) -> None:
    files = disks.files(overlay)
    assert await files.names(parse_path("/")) == [("Data", True), ("to data", False)]
    assert await files.names(parse_path("/data/sub")) == []


async def test_names_of_what_is_no_folder(disks: ChainDisks, overlay: Path) -> None:
    files = disks.files(overlay)
    with pytest.raises(NotFound, match=r"^no such file$"):
        await files.names(parse_path("/nothing"))
    with pytest.raises(InvalidRequest) as caught:
        await files.names(parse_path("/data/b.txt"))
    assert caught.value.message == "it is not a folder"
    assert caught.value.hint == "name the folder that the file is in"


def test_more_names_than_the_daemon_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_job, "MOST_PATHS", 9)
    with pytest.raises(Unavailable, match="the folder has more names than can be told"):
        list(files_job.of_names([("four", True), ("sixsix", False)]))


async def test_a_copy_is_the_disk_again(disks: ChainDisks, overlay: Path, base: Template) -> None:
    os.chmod(overlay, 0o640)
    os.chown(overlay, 1234, 1235)
    target = overlay.with_name("copy.qcow2")
    await disks.copy(overlay, target)
    assert held(target) == held(overlay)
    status = target.stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o640, 1234, 1235)
    assert await disks.backing(target) == await disks.backing(overlay)
    assert await disks.files(target).names(parse_path("/data")) == DATA
    assert beside(overlay) == ["c.qcow2", "copy.qcow2"]


async def test_a_copy_that_fails_is_not_there(disks: ChainDisks, overlay: Path) -> None:
    target = overlay.with_name("copy.qcow2")
    with pytest.raises(Unavailable):
        await disks.copy(overlay.with_name("nothing.qcow2"), target)
    assert beside(overlay) == ["c.qcow2"]


@pytest.mark.root
async def test_a_layer_that_has_no_room_is_told(
    disks: ChainDisks, overlay: Path, small_root: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "large.tar"
    archive.write_bytes(LayerTar().add("large", os.urandom(13 << 20)).bytes())
    await disks.files(overlay).write(parse_path("/"), archive, keep_kinds=True)
    with pytest.raises(Unavailable) as caught:
        await disks.layer(overlay, small_root / "layer.tar", kind="wine")
    assert caught.value.message == "no space left on device while a disk was being written"
    assert beside(small_root / "layer.tar") == []


async def test_a_layer_of_a_disk_that_stands_on_nothing(disks: ChainDisks, tmp_path: Path) -> None:
    alone = tmp_path / "alone.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", alone, "1M"], check=True)  # noqa: ASYNC221
    with pytest.raises(Exception, match="stands on no chain"):
        await disks.layer(alone, tmp_path / "layer.tar", kind="wine")
