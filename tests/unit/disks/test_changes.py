"""What changed on a disk, told from what its overlay holds; the changes are ntfs-3g's own."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.disks import ChainDisks, files_job
from linwin.disks.changes import HEADER, IN_USE, LONGEST_PATH, MAGIC, View, listed, parse, pieces, touched
from linwin.disks.qcow2 import create_overlay
from linwin.disks.volume import ROOT, Extent, Node, Records, Volume
from linwin.errors import Unavailable
from linwin.model.files import Change

CLUSTER = 64 << 10
SIZE = 32 << 20
LETTERS = {"modified": "C", "added": "A", "deleted": "D"}

Changed = Callable[[Callable[[Path], object]], list[str]]


@contextmanager
def mounted(raw: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["ntfs-3g", "-o", "noatime", raw, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def populate(c: Path) -> None:
    for folder in ("Windows/System32/config/linwin", "data/deep/deeper", "empty"):
        (c / folder).mkdir(parents=True)
    (c / "Windows/System32/config/linwin/system.reg").write_text("before")
    (c / "data/a.txt").write_text("a")
    (c / "data/large.bin").write_bytes(b"x" * 3_000_000)
    (c / "data/deep/b.txt").write_text("b")
    (c / "data/deep/deeper/c.txt").write_text("c")
    for number in range(300):  # so that the records take more than one cluster of the overlay
        (c / f"data/file {number:03}").write_text(str(number))


@pytest.fixture
def changed(tmp_path: Path, disks: ChainDisks) -> Changed:
    """What is told of a disk once a function has changed it, a line each as docker diff prints it."""
    raw, base, mount = tmp_path / "c.raw", tmp_path / "base.qcow2", tmp_path / "mount"
    with raw.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkntfs", "-Q", "-F", "-q", raw], check=True, capture_output=True)
    with mounted(raw, mount) as c:
        populate(c)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, base], check=True)
    before = tmp_path / "before.raw"
    shutil.copyfile(raw, before)
    overlay = tmp_path / "overlay.qcow2"
    asyncio.run(create_overlay(overlay, backing=base.name, size=SIZE))

    def told(change: Callable[[Path], object]) -> list[str]:
        with mounted(raw, mount) as c:
            change(c)
        write_what_differs(before, raw, overlay)
        return [f"{LETTERS[found.kind]} {found.path}" for found in asyncio.run(disks.changes(overlay))]

    return told


def write_what_differs(before: Path, after: Path, overlay: Path) -> None:
    commands = []
    with before.open("rb") as one, after.open("rb") as other:
        for at in range(0, SIZE, CLUSTER):
            if one.read(CLUSTER) != (data := other.read(CLUSTER)):
                part = overlay.with_name(f"part-{at}")
                part.write_bytes(data)
                commands += ["-c", f"write -q -s {part} {at} {CLUSTER}"]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, overlay], check=True)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def overwrite_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"y")


CASES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "nothing": (lambda c: None, []),
    "a new file": (lambda c: (c / "data/new.txt").touch(), ["C /data", "A /data/new.txt"]),
    "a new file in the root": (lambda c: (c / "new.txt").touch(), ["A /new.txt"]),
    "a changed file": (
        lambda c: append(c / "data/deep/b.txt", "!"),
        ["C /data", "C /data/deep", "C /data/deep/b.txt"],
    ),
    "a byte of a large file": (
        lambda c: overwrite_in_the_middle(c / "data/large.bin"),
        ["C /data", "C /data/large.bin"],
    ),
    "a deleted file": (lambda c: (c / "data/a.txt").unlink(), ["C /data", "D /data/a.txt"]),
    "a deleted tree is one line": (lambda c: shutil.rmtree(c / "data/deep"), ["C /data", "D /data/deep"]),
    "a deleted file and another in its record": (
        lambda c: ((c / "data/a.txt").unlink(), (c / "z.txt").write_text("z")),
        ["C /data", "D /data/a.txt", "A /z.txt"],
    ),
    "a file that is replaced": (
        lambda c: ((c / "new").write_text("n"), os.replace(c / "new", c / "data/a.txt")),
        ["C /data", "C /data/a.txt"],
    ),
    "a renamed file": (
        lambda c: (c / "data/a.txt").rename(c / "empty/b.txt"),
        ["C /data", "D /data/a.txt", "C /empty", "A /empty/b.txt"],
    ),
    "a renamed folder takes along what is in it": (
        lambda c: (c / "data/deep").rename(c / "moved"),
        ["C /data", "D /data/deep", "A /moved", "A /moved/b.txt", "A /moved/deeper", "A /moved/deeper/c.txt"],
    ),
    "a folder in the place of one that moved": (
        lambda c: ((c / "data/deep").rename(c / "moved"), (c / "data/deep/deeper").mkdir(parents=True)),
        ["C /data", "C /data/deep", "D /data/deep/b.txt", "C /data/deep/deeper", "D /data/deep/deeper/c.txt",
         "A /moved", "A /moved/b.txt", "A /moved/deeper", "A /moved/deeper/c.txt"],
    ),
    "a file in the place of a folder": (
        lambda c: ((c / "empty").rmdir(), (c / "empty").write_text("file")),
        ["C /empty"],
    ),
    "another name for a file": (
        lambda c: os.link(c / "data/a.txt", c / "empty/link"),
        ["C /data", "C /data/a.txt", "C /empty", "A /empty/link"],
    ),
    "the guest's own registry": (
        lambda c: (c / "Windows/System32/config/linwin/system.reg").write_text("after"),
        [],
    ),
    "a name that no program of DOS can say": (
        lambda c: (c / "data/ünïcode 名前 with a long name.txt").touch(),
        ["C /data", "A /data/ünïcode 名前 with a long name.txt"],
    ),
    "more names than a record holds": (
        lambda c: [os.link(c / "data/a.txt", c / f"empty/{'long' * 20} {number}") for number in range(12)],
        ["C /data", "C /data/a.txt", "C /empty",
         *sorted(f"A /empty/{'long' * 20} {number}" for number in range(12))],
    ),
}  # fmt: skip


@pytest.mark.root
@pytest.mark.parametrize("case", CASES)
def test_changes(changed: Changed, case: str) -> None:
    change, expected = CASES[case]
    assert changed(change) == expected


# What a hostile guest may have written into its file records.


@given(st.binary(max_size=2048))
def test_a_record_of_any_bytes_is_one_or_none(raw: bytes) -> None:
    record = parse(7, raw)
    assert record is None or record.owner >= 0


@given(st.data())
def test_a_record_with_any_header_is_one_or_none(data: st.DataObject) -> None:
    numbers = [
        data.draw(st.integers(0, (1 << bits) - 1)) for bits in (16, 16, 64, 16, 16, 16, 16, 32, 32, 64)
    ]
    raw = HEADER.pack(MAGIC, *numbers) + data.draw(st.binary(max_size=1024))
    record = parse(7, raw)
    assert (record is not None) == bool(numbers[6] & IN_USE)


def test_what_the_update_sequence_took_is_put_back() -> None:
    def record(sequence: int, lsn: int) -> bytes:
        body = bytearray(1024)
        HEADER.pack_into(body, 0, MAGIC, 48, 3, lsn, 1, 1, 56, IN_USE, 1024, 1024, 0)
        struct.pack_into("<HHH", body, 48, sequence, 0x1111, 0x2222)
        struct.pack_into("<II", body, 56, 0x80, 968)
        struct.pack_into("<H", body, 510, sequence)
        struct.pack_into("<H", body, 1022, sequence)
        return bytes(body)

    one, other = parse(30, record(5, 100)), parse(30, record(6, 200))
    assert one is not None
    assert one == other
    assert one.essence[-2:] == b"\x22\x22"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ([], []),
        ([Extent(0, 100)], []),
        ([Extent(1000, 1)], [range(1)]),
        ([Extent(2023, 2)], [range(2)]),
        ([Extent(0, 1 << 40)], [range(4), range(4, 6)]),
        ([Extent(5000, 4000)], [range(3, 4), range(4, 5)]),
    ],
)
def test_records_are_found_by_where_they_lie(written: list[Extent], expected: list[range]) -> None:
    records = Records((Extent(1000, 4096), Extent(8000, 2048)), 1024)
    assert list(touched(records, written)) == expected


def test_many_parts_and_many_extents_are_soon_compared() -> None:
    extents = tuple(Extent(2 * index * 4096, 4096) for index in range(30_000))
    written = [Extent(2 * index * 4096 + 1024, 512) for index in range(30_000)]
    before = time.process_time()
    found = list(touched(Records(extents, 1024), written))
    assert time.process_time() - before < 30  # comparing each with each takes minutes
    assert found == [range(4 * index + 1, 4 * index + 2) for index in range(30_000)]


def test_records_are_read_in_pieces() -> None:
    assert list(pieces([range(1, 6), range(8, 9)], 2)) == [
        range(1, 3), range(3, 5), range(5, 6), range(8, 9)
    ]  # fmt: skip


class Claims(Volume):
    """A volume of what a hostile guest says: which names a file has, and what is in a folder."""

    def __init__(self, names: dict[int, list[tuple[int, str]]]) -> None:
        self._claimed = names

    def records(self) -> Records:
        return Records((), 1024)

    def names(self, number: int) -> list[tuple[int, str]]:
        return self._claimed.get(number, [])

    def list(self, number: int) -> Iterator[tuple[str, Node]]:
        for child, names in self._claimed.items():
            for parent, name in names:
                if parent == number:
                    yield name, Node(child, is_directory=True)


def nested(depth: int, name: str) -> Claims:
    return Claims({100 + at: [(99 + at if at else ROOT, name)] for at in range(depth)})


def test_a_path_may_be_as_deep_as_it_can_be_named() -> None:
    depth = LONGEST_PATH // 2
    view = View(nested(depth + 5, "a"))
    assert view.paths(100 + depth - 1) == ("/a" * depth,)
    assert view.paths(100 + depth) == ()
    assert view.paths(100 + depth + 4) == ()


def test_what_is_in_a_deep_folder_is_told() -> None:
    found = View(nested(2000, "a")).below(100, "/a")
    assert [path for path, _ in found] == ["/a" * depth for depth in range(2, 2001)]


def test_folders_in_a_circle_have_no_path() -> None:
    view = View(Claims({100: [(102, "a")], 101: [(100, "b")], 102: [(101, "c")], 103: [(103, "d")]}))
    assert [view.paths(number) for number in range(100, 105)] == [()] * 5


def test_a_folder_that_is_in_itself_is_told_once() -> None:
    view = View(Claims({100: [(ROOT, "a"), (101, "again")], 101: [(100, "b"), (101, "itself")]}))
    assert sorted(path for path, _ in view.below(100, "/a")) == ["/a/b", "/a/b/again", "/a/b/itself"]


def test_paths_of_any_length_go_through_messages() -> None:
    paths = [f"/{letter * (LONGEST_PATH - 1)}" for letter in "a\U0001f600\ud800" for _ in range(10)]
    told = [Change("added", path) for path in paths]
    messages = list(files_job.of_changes(told))
    assert max(map(len, messages)) <= files_job.LARGEST
    header = files_job.HEADER.size
    assert [change for one in messages for change in files_job.changes_in(one[header:])] == told


def test_more_than_the_daemon_has_room_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_job, "MOST_PATHS", 9)
    assert list(files_job.of_changes([Change("added", "/a/b/c/d")]))
    with pytest.raises(Unavailable, match="more of the container's files changed than can be told"):
        list(files_job.of_changes([Change("added", "/a/b/c/d"), Change("added", "/a")]))


def test_folders_above_are_listed_once() -> None:
    assert listed(set(), {"/a/b/c", "/a/b/d"}) == [
        Change("modified", "/a"),
        Change("modified", "/a/b"),
        Change("added", "/a/b/c"),
        Change("added", "/a/b/d"),
    ]
