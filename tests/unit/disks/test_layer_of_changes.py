"""What a container changed, written as a layer: on a chain the layer gives the container's volume again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.unit.disks.container_disk import (
    Change,
    Container,
    junction,
    set_attributes,
    set_extended,
    set_security,
    set_stream,
    symbolic_link,
)
from tests.unit.layers.windows_tar import FULL_FOR_SYSTEM

pytestmark = pytest.mark.root


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def swap(one: Path, other: Path) -> None:
    one.rename(one.with_name("swapping"))
    other.rename(one)
    one.with_name("swapping").rename(other)


def replace_folder(c: Path) -> None:
    """Another folder in the place of one with a stream, with one of its files."""
    (c / "data/deep").rename(c / "gone")
    (c / "data/deep").mkdir()
    (c / "gone/b.txt").rename(c / "data/deep/b.txt")
    shutil.rmtree(c / "gone")


def fragmented(c: Path) -> None:
    """Two files that grow in turns, so that each lies in many places."""
    with (c / "one.bin").open("wb") as one, (c / "two.bin").open("wb") as two:
        for _ in range(60):
            for file in (one, two):
                file.write(os.urandom(9_000))
                file.flush()
                os.fsync(file.fileno())


def sparse(c: Path) -> None:
    with (c / "sparse.bin").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")


def compressed(c: Path) -> None:
    (c / "small").mkdir()
    set_attributes(c / "small", 0x800)
    (c / "small/text").write_bytes(b"again and again " * 20_000)


def more_records(c: Path) -> None:
    """So many files that the table of records has to grow, and files deleted among them."""
    (c / "many").mkdir()
    for number in range(1500):
        (c / f"many/{number}").write_text("x" * (number % 900))
    for number in range(0, 1500, 7):
        (c / f"many/{number}").unlink()


CASES: dict[str, Change] = {
    "a new file": lambda c: (c / "data/new.txt").write_text("new"),
    "an empty file in the root": lambda c: (c / "new.txt").touch(),
    "a new tree": lambda c: ((c / "a/b/c").mkdir(parents=True), (c / "a/b/c/d").write_text("d")),
    "a changed file": lambda c: (c / "data/deep/b.txt").write_text("!"),
    "a byte of a large file": lambda c: overwrite(c / "data/large.bin", 500_000, b"y"),
    "a file that becomes large": lambda c: (c / "data/a.txt").write_bytes(os.urandom(90_000)),
    "a file that becomes small": lambda c: (c / "data/large.bin").write_bytes(b"now it is in its record"),
    "a file that becomes empty": lambda c: (c / "data/large.bin").write_bytes(b""),
    "a deleted file": lambda c: (c / "data/a.txt").unlink(),
    "a deleted tree": lambda c: shutil.rmtree(c / "data/deep"),
    "a deleted folder that was empty": lambda c: (c / "empty").rmdir(),
    "a deleted file and another in its record": lambda c: (
        (c / "data/a.txt").unlink(), (c / "z.txt").write_text("z"),
    ),
    "a file made again": lambda c: ((c / "data/a.txt").unlink(), (c / "data/a.txt").write_text("again")),
    "a file that is replaced": lambda c: (
        (c / "new").write_text("n"), os.replace(c / "new", c / "data/a.txt"),
    ),
    "a renamed file": lambda c: (c / "data/deep/b.txt").rename(c / "empty/renamed"),
    "a file renamed in case only": lambda c: (c / "data/a.txt").rename(c / "data/A.TXT"),
    "two files that change places": lambda c: swap(c / "data/a.txt", c / "data/deep/b.txt"),
    "a renamed folder": lambda c: (c / "data/deep").rename(c / "moved"),
    "two folders that change places": lambda c: swap(c / "data", c / "other"),
    "a folder that moves into another that moves": lambda c: (
        (c / "data/deep").rename(c / "other/deep"), (c / "other").rename(c / "empty/other"),
    ),
    "a folder in the place of one that moved": lambda c: (
        (c / "data/deep").rename(c / "moved"), (c / "data/deep/deeper").mkdir(parents=True),
    ),
    "another folder of the same name": replace_folder,
    "a file in the place of a folder": lambda c: (
        shutil.rmtree(c / "data/deep"), (c / "data/deep").write_text("file"),
    ),
    "a folder in the place of a file": lambda c: (
        (c / "data/a.txt").unlink(), (c / "data/a.txt/sub").mkdir(parents=True),
    ),
    "a file from below in the place of its folder": lambda c: (
        (c / "data/deep/b.txt").rename(c / "b"), shutil.rmtree(c / "data/deep"),
        (c / "b").rename(c / "data/deep"),
    ),
    "a link in the place of a folder": lambda c: (
        shutil.rmtree(c / "data/deep"), junction(c / "data/deep", "C:\\other"),
    ),
    "a folder in the place of a link": lambda c: (
        (c / "data/junction").unlink(), (c / "data/junction").mkdir(), (c / "data/junction/f").touch(),
    ),
    "links": lambda c: (
        symbolic_link(c / "file link", "data\\a.txt"),
        symbolic_link(c / "folder link", "data", folder=True),
        junction(c / "data/to other", "C:\\other"),
    ),
    "another name for a file": lambda c: os.link(c / "data/a.txt", c / "empty/link"),
    "another name for a link": lambda c: os.link(c / "data/link", c / "other/link", follow_symlinks=False),
    "names for a new file": lambda c: (
        (c / "m").write_text("m"), os.link(c / "m", c / "a name before"), os.link(c / "m", c / "other/z"),
    ),
    "more names than a record holds": lambda c: [
        os.link(c / "data/a.txt", c / f"empty/{'long' * 20} {number}") for number in range(12)
    ],
    "bytes of a file of three names": lambda c: overwrite(c / "other/one", 10, b"CHANGED"),
    "bytes of a file of three names, and another": lambda c: (
        overwrite(c / "other/two", 10, b"CHANGED"), os.link(c / "other/two", c / "a fourth"),
    ),
    "one of three names deleted": lambda c: (c / "other/one").unlink(),
    "one of three names given to another file": lambda c: (
        (c / "other/one").unlink(), (c / "other/one").write_text("another"),
    ),
    "one of three names moved": lambda c: (c / "data/three").rename(c / "empty/three"),
    "one of two names given to a file of three": lambda c: (
        (c / "other/y").unlink(), os.link(c / "other/one", c / "other/y"),
    ),
    "names that two files exchange": lambda c: (
        (c / "other/two").unlink(), (c / "other/y").unlink(),
        os.link(c / "other/x", c / "other/two"), os.link(c / "other/one", c / "other/y"),
    ),
    "a folder moved with one of three names": lambda c: (c / "other").rename(c / "empty/o"),
    "attributes": lambda c: (
        set_attributes(c / "data/a.txt", 0x20), set_attributes(c / "data/deep", 0x16),
        set_attributes(c / "data/file 007", 0x2027),
    ),
    "descriptors": lambda c: (
        set_security(c / "data/a.txt", FULL_FOR_SYSTEM), set_security(c / "data/deep", FULL_FOR_SYSTEM),
    ),
    "a descriptor of an empty folder": lambda c: set_security(c / "empty", FULL_FOR_SYSTEM),
    "streams": lambda c: (
        set_stream(c / "data/a.txt", "new", b"n" * 5000), set_stream(c / "empty", "on a folder", b"f"),
        set_stream(c / "data/deep/b.txt", "Zone.Identifier", b"[other]"),
        set_stream(c / "data/link", "on a link", b"l"),
    ),
    "streams that go": lambda c: (
        os.removexattr(c / "data/deep/b.txt", "user.Zone.Identifier"),
        os.removexattr(c / "data/deep", "user.of a folder"),
    ),
    "extended attributes": lambda c: (
        set_extended(c / "data/a.txt", "EA.TWO", b"2" * 300), set_extended(c / "empty", "EA.THREE", b"3"),
        os.removexattr(c / "data/deep/b.txt", "system.ntfs_ea"),
    ),
    "times": lambda c: (
        os.utime(c / "data/a.txt", ns=(1_000_000_000_000_000_000, 1_100_000_000_000_000_100)),
        os.utime(c / "empty", ns=(1_000_000_000_000_000_000, 900_000_000_000_000_000)),
    ),
    "a fragmented file": fragmented,
    "a sparse file": sparse,
    "more records": more_records,
    "names that no program of DOS can say": lambda c: [
        (c / "data" / name).touch() for name in ("ünïcode 名前", "\U0001f600", "long " * 40 + "name")
    ],
    "a deep path": lambda c: c.joinpath(*(f"folder number {n}" for n in range(30))).mkdir(parents=True),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_layer_gives_the_containers_volume_again(container: Container, case: str) -> None:
    container(CASES[case]).confirm()


def test_a_compressed_file(container: Container) -> None:
    container(compressed, options="noatime,compression").confirm()
