"""Volumes begin with what an image has at their path: all of it, or nothing."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.model.mount import Share
from linwin.shares import SambaShares
from tests.unit.shares.client import Client

pytestmark = pytest.mark.root

WINDOWS = {"MSWINDOWS.fileattr": "32", "MSWINDOWS.rawsd": "AQAUgA==", "LIBARCHIVE.creationtime": "1.5"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A volume's files, of which there are none."""
    made = tmp_path / "volumes" / "data" / "_data"
    made.mkdir(parents=True)
    return made


def entry(
    name: str, data: str | None = None, *, link: str = "", hard: bool = False
) -> tuple[tarfile.TarInfo, bytes]:
    """A file of ``data``, a folder without, or a link, as a container's disk says it."""
    info = tarfile.TarInfo(name)
    info.mtime = 1_600_000_000
    info.pax_headers = dict(WINDOWS)
    info.type = tarfile.REGTYPE if data is not None else tarfile.DIRTYPE
    info.mode = 0o644 if data is not None else 0o755
    if link:
        info.type, info.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, link
    info.size = len(data or "")
    return info, (data or "").encode()


def archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return written.getvalue()


async def pieces(data: bytes, size: int = 1000) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def beside(folder: Path) -> Sequence[str]:
    """What there is of a volume."""
    return os.listdir(folder.parent)


async def test_a_folder_is_filled_and_stays_its_owners(
    room: SambaShares, client: Client, folder: Path
) -> None:
    os.chown(folder, 4000, 4001)
    os.chmod(folder, 0o2750)
    data = archive(
        entry("."),
        entry("./sub"),
        entry("./sub/Ünï 日本.txt", "hello" * 1000),
        entry("./empty", ""),
        entry("./link", link="sub/Ünï 日本.txt"),
    )
    await room.fill(folder, pieces(data))
    assert sorted(os.listdir(folder)) == ["empty", "link", "sub"]
    found = folder / "sub" / "Ünï 日本.txt"
    assert found.read_text() == "hello" * 1000
    assert found.stat().st_mtime == 1_600_000_000
    assert (folder / "link").readlink() == Path("sub/Ünï 日本.txt")
    status = os.stat(folder)
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (4000, 4001, 0o2750)
    assert beside(folder) == ["_data"]
    (access,) = await room.offer([Share("0123456789ab-0", str(folder), False)])
    assert "sub" in (await client(access, "ls")).text


async def test_an_archive_of_nothing_fills_nothing(room: SambaShares, folder: Path) -> None:
    await room.fill(folder, pieces(archive(entry("."))))
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])


async def test_what_leads_elsewhere_is_not_followed(room: SambaShares, folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("untouched")
    data = archive(
        entry("./absolute", link=str(outside)),
        entry("./up", link="../../../outside"),
        entry(str(outside / "made"), "inside after all"),
        entry("./file", "fine"),
    )
    await room.fill(folder, pieces(data))
    assert (folder / "absolute").readlink() == outside
    assert (folder / "file").read_text() == "fine"
    assert os.listdir(outside) == ["secret"]
    assert (folder / str(outside)[1:] / "made").read_text() == "inside after all"


@pytest.mark.parametrize("name", ["../../../outside/made", "./sub/../../../../outside/made"])
async def test_a_name_that_leads_out_is_refused(
    room: SambaShares, folder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside").mkdir()
    with pytest.raises(Unavailable, match=r"^tar failed with exit code 2: .*Member name contains '\.\.'"):
        await room.fill(folder, pieces(archive(entry("./file", "fine"), entry(name, "evil"))))
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("hard", [False, True], ids=["symbolic", "hard"])
async def test_nothing_is_written_through_a_link(
    room: SambaShares, folder: Path, tmp_path: Path, hard: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("untouched")
    target = str(outside / "secret" if hard else outside)
    way = "./link" if hard else "./link/secret"
    with pytest.raises(Unavailable, match=r"^tar failed with exit code 2: "):
        await room.fill(folder, pieces(archive(entry("./link", link=target, hard=hard), entry(way, "evil"))))
    assert (outside / "secret").read_text() == "untouched"
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])


@pytest.mark.parametrize("kept", [0, 100, 1500, 3000, 3072])
async def test_half_an_archive_fills_nothing(room: SambaShares, folder: Path, kept: int) -> None:
    data = archive(entry("./first", "1" * 600), entry("./second", "2" * 600))
    with pytest.raises(Unavailable) as caught:
        await room.fill(folder, pieces(data[:kept]))
    assert caught.value.message == "the files that a volume is to begin with were not read to their end"
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])


async def test_an_archive_that_breaks_off_fills_nothing(room: SambaShares, folder: Path) -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        yield archive(entry("./first", "1"))
        raise Unavailable("the disk cannot be read")

    with pytest.raises(Unavailable, match=r"^the disk cannot be read$"):
        await room.fill(folder, broken())
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])


async def test_who_gives_up_leaves_nothing(room: SambaShares, folder: Path) -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            yield archive(entry("./first", "1"))
            asked.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    filling = asyncio.create_task(room.fill(folder, endless()))
    await asked.wait()
    filling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await filling
    assert closed.is_set()
    assert (os.listdir(folder), beside(folder)) == ([], ["_data"])


async def test_a_folder_with_something_in_it_stays_as_it_is(room: SambaShares, folder: Path) -> None:
    (folder / "mine").write_text("mine")
    await room.fill(folder, pieces(archive(entry("./theirs", "theirs"))))
    assert (os.listdir(folder), beside(folder)) == (["mine"], ["_data"])


async def test_a_folder_that_is_written_to_meanwhile_stays_as_it_is(room: SambaShares, folder: Path) -> None:
    async def slow() -> AsyncGenerator[bytes, None]:
        (folder / "mine").write_text("mine")
        yield archive(entry("./theirs", "theirs"))

    await room.fill(folder, slow())
    assert (os.listdir(folder), beside(folder)) == (["mine"], ["_data"])


async def test_a_folder_that_another_container_has_stays_its_folder(
    room: SambaShares, client: Client, folder: Path, tmp_path: Path
) -> None:
    """One that was put in its place would be another, and what it has would be nobody's."""
    (access,) = await room.offer([Share("0123456789ab-0", str(folder), False)])
    before = os.stat(folder).st_ino
    await room.fill(folder, pieces(archive(entry("./sub"), entry("./sub/file", "hello"))))
    assert os.stat(folder).st_ino == before
    assert beside(folder) == ["_data"]
    assert "hello" in (await client(access, "get sub/file -")).text
    (tmp_path / "news").write_text("news")
    assert (await client(access, f"put {tmp_path}/news new")).code == 0
    assert (folder / "new").read_text() == "news"


async def test_what_a_daemon_that_died_left_is_not_in_the_way(room: SambaShares, folder: Path) -> None:
    (folder.parent / "filling" / "half").mkdir(parents=True)
    await room.fill(folder, pieces(archive(entry("./file", "fine"))))
    assert (os.listdir(folder), beside(folder)) == (["file"], ["_data"])


async def test_two_fill_one_folder(room: SambaShares, folder: Path) -> None:
    await asyncio.gather(
        room.fill(folder, pieces(archive(entry("./first", "1"), entry("./more", "1")))),
        room.fill(folder, pieces(archive(entry("./second", "2")))),
    )
    assert (sorted(os.listdir(folder)), beside(folder)) == (["first", "more"], ["_data"])


async def test_a_folder_that_is_gone_is_said(room: SambaShares, folder: Path) -> None:
    os.rmdir(folder)
    with pytest.raises(Unavailable) as caught:
        await room.fill(folder, pieces(archive(entry("."))))
    assert caught.value.message == f"cannot share files: {folder}: No such file or directory"
    assert beside(folder) == []
