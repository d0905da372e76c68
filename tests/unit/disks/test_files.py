"""Copying into and out of a container's disk that no machine has open."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import subprocess
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

import linwin.disks.files
from linwin.disks import ChainDisks
from linwin.disks.files import DiskFiles
from linwin.errors import InvalidRequest, NotFound, Unavailable, Unsupported
from linwin.model.files import parse_path
from linwin.model.image import Layer
from linwin.model.template import Template
from linwin.paths import Paths
from tests.unit.disks.ntfs_reader import VolumeReader
from tests.unit.layers.windows_tar import docker_on_windows

HIDDEN_READ_ONLY = 0x23
DESCRIPTOR = (
    "AQAEgBQAAAAkAAAAAAAAADQAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUg"
    "AAAAIAIAAAIAHAABAAAAAAAUAP8BHwABAQAAAAAABRIAAAA="
)


@pytest.fixture
async def overlay(disks: ChainDisks, base: Template, store: Callable[[bytes], Layer], paths: Paths) -> Path:
    """A container's overlay on a chain with some files."""
    layer = docker_on_windows({"Users/me/note.txt": b"from the image", "Windows/win.ini": b"[x]"})
    _, end = await disks.chain(base, [store(layer)], lambda _: None)
    path = paths.container("c" * 64) / "c.qcow2"
    await disks.overlay(end, path, uid=os.getuid())
    return path


@pytest.fixture
def files(disks: ChainDisks, overlay: Path) -> DiskFiles:
    return disks.files(overlay)


Put = Callable[..., Awaitable[None]]


@pytest.fixture
def put(files: DiskFiles, tmp_path: Path) -> Put:
    async def put(data: bytes, path: str = "/", *, keep_kinds: bool = True) -> None:
        archive = tmp_path / "upload.tar"
        archive.write_bytes(data)
        await files.write(parse_path(path), archive, keep_kinds=keep_kinds)

    return put


def held(overlay: Path) -> bytes:
    return overlay.read_bytes()


def beside(overlay: Path) -> list[Path]:
    return list(overlay.parent.iterdir())


def pack(*members: tuple[str, bytes | str | None], **pax: str) -> bytes:
    """A tar: bytes make a file, None a folder, a text a symbolic link."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime = 1_600_000_000
            info.pax_headers = {key.replace("__", "."): value for key, value in pax.items()}
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return target.getvalue()


async def get(files: DiskFiles, path: str) -> tarfile.TarFile:
    async with aclosing(files.read(parse_path(path))) as pieces:
        data = b"".join([piece async for piece in pieces])
    return tarfile.open(fileobj=io.BytesIO(data))


def content(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    assert found is not None
    return found.read()


async def test_stat(files: DiskFiles) -> None:
    found = await files.stat(parse_path("C:\\USERS\\me/NOTE.txt"))
    assert (found.size, found.is_directory, found.link) == (14, False, "")
    assert (await files.stat(parse_path("/users/"))).is_directory
    assert (await files.stat(parse_path("/"))).is_directory


@pytest.mark.parametrize("path", ["/nothing", "/users/me/note.txt/", "/windows/win.ini/x", "C:\\x\\y"])
async def test_what_is_not_there(files: DiskFiles, path: str) -> None:
    with pytest.raises(NotFound):
        await files.stat(parse_path(path))
    with pytest.raises(NotFound):
        await get(files, path)


async def test_a_folder_comes_with_what_is_below_it(files: DiskFiles) -> None:
    tar = await get(files, "c:\\users")
    assert tar.getnames() == ["users", "users/me", "users/me/note.txt"]
    assert content(tar, "users/me/note.txt") == b"from the image"
    assert (await get(files, "/users/.")).getnames() == [".", "./me", "./me/note.txt"]
    assert "/Windows/win.ini" in (await get(files, "/")).getnames()


async def test_what_windows_knows_comes_and_goes(files: DiskFiles, put: Put) -> None:
    records = {
        "MSWINDOWS__fileattr": str(HIDDEN_READ_ONLY),
        "MSWINDOWS__rawsd": DESCRIPTOR,
        "LIBARCHIVE__creationtime": "1400000000.1234567",
        "LINWIN__stream__zone": "aGVsbG8=",
        "mtime": "1500000000.5",
    }
    await put(pack(("kept.bin", b"x" * 3_000_000), **records), "/users")
    tar = await get(files, "/users/kept.bin")
    (member,) = tar.getmembers()
    assert content(tar, "kept.bin") == b"x" * 3_000_000
    expected = {key.replace("__", "."): value for key, value in records.items()}
    assert {key: member.pax_headers[key] for key in expected} == expected
    assert member.mode == 0o555
    stat = await files.stat(parse_path("/users/kept.bin"))
    assert (stat.is_read_only, stat.modified, stat.size) == (True, 1_500_000_000_500_000_000, 3_000_000)


async def test_a_round_trip_of_all_of_c(files: DiskFiles, put: Put) -> None:
    async with aclosing(files.read(parse_path("/"))) as pieces:
        whole = b"".join([piece async for piece in pieces])
    await put(pack(("copy", None)))
    await put(whole, "/copy")
    assert content(await get(files, "/copy"), "copy/Users/me/note.txt") == b"from the image"


async def test_independent_readers_find_what_was_written(
    files: DiskFiles, overlay: Path, put: Put, tmp_path: Path
) -> None:
    await put(pack(("C:\\new folder\\File.TXT", b"one"), ("link", "new folder/file.txt"), ("d", None)))
    volume = VolumeReader(overlay, tmp_path / "volume.raw")
    assert volume["new folder/File.TXT"].data == b"one"
    assert volume["link"].reparse
    assert volume["d"].is_directory
    assert volume["Users/me/note.txt"].data == b"from the image"


async def test_links_are_followed_within_c(files: DiskFiles, put: Put) -> None:
    await put(pack(("to", None), ("to/f", b"1"), ("abs", "C:\\to"), ("up", "../../to"), ("round", "round")))
    assert (await files.stat(parse_path("/abs"))).link == "/to"
    for path in ("/abs/f", "/up/f"):
        assert (await files.stat(parse_path(path))).size == 1
    assert (await get(files, "/abs/")).getnames() == ["abs", "abs/f"]
    await put(pack(("g", b"22")), "/abs")
    assert (await files.stat(parse_path("/to/g"))).size == 2
    with pytest.raises(NotFound):
        await files.stat(parse_path("/round/x"))
    with pytest.raises(InvalidRequest, match='"abs" on its path is not a folder'):
        await put(pack(("abs/escaped", b"x")))


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        (pack(("../x", b"1")), 'entry "../x": it is outside of the folder that is copied to'),
        (pack(("a*b", b"1")), "the character '*' is not allowed in a name"),
        (pack(("nul.txt", b"1")), "'nul.txt' is the name of a device"),
        (pack(("$MFT", b"1")), "$MFT belongs to the volume itself"),
        (pack(("Windows", b"1")), 'cannot overwrite directory "C:\\Windows" with non-directory'),
        (pack(("windows/win.ini", None)), "cannot overwrite non-directory"),
        (pack(("windows/win.ini/x", b"1")), '"win.ini" on its path is not a folder'),
        (pack(("first", b"1"))[:700], "the archive ends"),
        (b"this is no archive at all" * 40, "the tar header's checksum is"),
        (b"", "the archive ends too early"),
        (gzip.compress(pack(("x", b"1")), mtime=0)[:-20], "its gzip stream ends too early"),
    ],
)
async def test_what_is_refused_changes_nothing(
    overlay: Path, put: Put, archive: bytes, sentence: str
) -> None:
    before = held(overlay)
    with pytest.raises(InvalidRequest) as caught:
        await put(archive)
    assert sentence in caught.value.message
    assert held(overlay) == before
    assert beside(overlay) == [overlay]


async def test_kinds_change_where_that_is_allowed(files: DiskFiles, put: Put) -> None:
    await put(pack(("users", b"a file now"), ("windows/win.ini", None)), keep_kinds=False)
    assert (await files.stat(parse_path("/users"))).size == 10
    assert (await files.stat(parse_path("/windows/win.ini"))).is_directory


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
async def test_compressed_archives(files: DiskFiles, put: Put, compress: Callable[[bytes], bytes]) -> None:
    await put(compress(pack(("packed", bytes(2_000_000)))))
    assert (await files.stat(parse_path("/packed"))).size == 2_000_000


async def test_a_folder_that_is_none_is_no_place_to_unpack(put: Put) -> None:
    with pytest.raises(InvalidRequest, match="extraction point is not a directory"):
        await put(pack(("x", b"1")), "/windows/win.ini")
    with pytest.raises(NotFound):
        await put(pack(("x", b"1")), "/nowhere")


async def test_a_volume_that_is_full(overlay: Path, put: Put) -> None:
    before = held(overlay)
    with pytest.raises(Unavailable, match="no space left on the container's C: volume") as caught:
        await put(pack(("a", bytes(300 << 20)), ("b", bytes(300 << 20))))
    assert caught.value.hint == "copy less, or delete something in the container first"
    assert held(overlay) == before


def boot_sector(overlay: Path, raw: Path) -> bytes:
    subprocess.run(["qemu-img", "convert", "-O", "raw", overlay, raw], check=True)
    with raw.open("rb") as file:
        return file.read(512)


async def test_a_volume_whose_mirror_was_not_written_is_read_and_not_written(
    files: DiskFiles, overlay: Path, put: Put, tmp_path: Path
) -> None:
    boot = boot_sector(overlay, tmp_path / "volume.raw")
    cluster = int.from_bytes(boot[11:13], "little") * boot[13]
    mirror = int.from_bytes(boot[56:64], "little") * cluster
    spoil = f"write -q -P 0x55 {mirror + 512} 512"
    subprocess.run(["qemu-io", "-c", spoil, overlay], check=True)  # noqa: ASYNC221
    assert content(await get(files, "/users/me"), "me/note.txt") == b"from the image"
    before = held(overlay)
    with pytest.raises(Unavailable) as caught:
        await put(pack(("x", b"1")))
    assert caught.value.message == (
        "the container's C: was not closed: its guest ended without writing its disk out"
    )
    assert caught.value.hint == "copy out of it what you need, and go on with a new container"
    assert held(overlay) == before


async def test_a_disk_that_is_no_volume_is_told(files: DiskFiles, overlay: Path) -> None:
    subprocess.run(["qemu-io", "-c", "write -q -P 0x55 0 4096", overlay], check=True)  # noqa: ASYNC221
    with pytest.raises(Unavailable, match="the container's C: cannot be opened: "):
        await files.stat(parse_path("/"))


async def test_what_a_guest_is_given(disks: ChainDisks, overlay: Path, tmp_path: Path) -> None:
    source, plain = tmp_path / "source.tar", tmp_path / "plain.tar"
    store_at(source, gzip.compress(pack(("C:\\dir\\f.txt", b"1"), ("./d/", None), ("l", "C:\\dir"))))
    await disks.plain_copy(source, plain, overlay)
    with tarfile.open(plain) as tar:
        assert [(member.name, member.linkname) for member in tar] == [
            ("dir/f.txt", ""),
            ("d", ""),
            ("l", "/dir"),
        ]
    store_at(source, pack(("f.txt:zone", b"1")))
    with pytest.raises(Unsupported) as caught:
        await disks.plain_copy(source, plain, overlay)
    assert caught.value.message == (
        'the alternate stream "f.txt:zone" cannot be written while the container runs'
    )
    store_at(source, pack(("../x", b"1")))
    with pytest.raises(InvalidRequest, match="it is outside of the folder that is copied to"):
        await disks.plain_copy(source, plain, overlay)


def store_at(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_a_copy_that_fails_at_the_very_end_has_not_happened(
    overlay: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = held(overlay)

    def refuse(unfinished: Path, path: Path) -> None:
        assert held(unfinished) != before
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(linwin.disks.files, "publish", refuse)
        with pytest.raises(Unavailable, match="a disk cannot be read or written"):
            await put(pack(("x", b"1")))
    assert held(overlay) == before
    assert beside(overlay) == [overlay]
    await put(pack(("x", b"1")))
