"""linwin cp's local half: what goes where, what is packed, and what an archive may not do."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from linwin.cli import local_files
from linwin.cli.copy_rules import Source, Target, place, renamed
from linwin.cli.cp import led, split
from linwin.errors import InvalidRequest, LinwinError, Unavailable

FILE, FOLDER = Source("s", is_folder=False), Source("s", is_folder=True)


def target(*, exists: bool, is_folder: bool = False, says_folder: bool = False) -> Target:
    return Target("/p/t", "/p", "t", exists, is_folder, says_folder)


@pytest.mark.parametrize(
    ("source", "there", "lands"),
    [
        (FILE, target(exists=True, is_folder=True), ("/p/t", "s")),
        (FOLDER, target(exists=True, is_folder=True), ("/p/t", "s")),
        (Source(".", is_folder=True), target(exists=True, is_folder=True), ("/p/t", ".")),
        (FILE, target(exists=True), ("/p", "t")),
        (FILE, target(exists=False), ("/p", "t")),
        (FOLDER, target(exists=False), ("/p", "t")),
        (FOLDER, target(exists=False, says_folder=True), ("/p", "t")),
    ],
)
def test_where_a_copy_goes(source: Source, there: Target, lands: tuple[str, str]) -> None:
    assert place(source, there) == lands


def test_where_none_goes() -> None:
    with pytest.raises(InvalidRequest, match="cannot copy directory"):
        place(FOLDER, target(exists=True))
    with pytest.raises(InvalidRequest, match="no such directory"):
        place(FILE, target(exists=False, says_folder=True))


@pytest.mark.parametrize(
    ("name", "old", "new", "becomes"),
    [
        ("a", "a", "b", "b"),
        ("a/", "a", "b", "b"),
        ("a/x", "a", "b", "b/x"),
        ("./x", ".", "new", "new/x"),
        ("/x", "/", "new", "new/x"),
        ("/", "/", "new", "new"),
    ],
)
def test_members_are_renamed(name: str, old: str, new: str, becomes: str) -> None:
    assert renamed(name, old, new) == becomes


def test_a_member_that_was_not_asked_for() -> None:
    with pytest.raises(InvalidRequest, match='the daemon sent "other", which was not asked for'):
        renamed("other", "a", "b")


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("box:/x", ("box", "/x")),
        ("box:C:\\x", ("box", "C:\\x")),
        ("./box:/x", ("", "./box:/x")),
        ("/a:b", ("", "/a:b")),
        ("plain", ("", "plain")),
        ("-", ("", "-")),
    ],
)
def test_arguments(argument: str, parts: tuple[str, str]) -> None:
    assert split(argument) == parts


def pack(*members: tuple[str, bytes | str | None]) -> io.BytesIO:
    """A tar: bytes make a file, None a folder, a text a symbolic link."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    target.seek(0)
    return target


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        (pack(("a", None), ("a/../../x", b"1")), "is outside of"),
        (
            pack(
                ("a", None),
                ("a/l", "../../.."),
            ),
            'invalid symlink "',
        ),
        (pack(("a", None), ("a/up", "down"), ("a/up/x", b"1")), "cannot write"),
        (pack(("b", b"1")), 'the daemon sent "b", which was not asked for'),
        (pack(("a", b"1")), "cannot overwrite directory"),
        (io.BytesIO(b"no archive" * 100), "the daemon's archive broke off or is damaged"),
    ],
)
def test_what_an_archive_may_not_do(tmp_path: Path, archive: io.BytesIO, sentence: str) -> None:
    (folder := tmp_path / "to").mkdir()
    (folder / "a").mkdir()
    with pytest.raises(LinwinError) as caught:
        local_files.unpack(archive, str(folder), "a", "a")
    assert sentence in caught.value.message
    assert sorted(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    "archive",
    [
        pack(("a", b"1"), ("a/../mine", b"2")),
        pack(("a/../mine", b"2")),
        pack(("a", "."), ("a/mine", b"2")),
        pack(("a", None), ("a/l", ".."), ("a/l/mine", b"2")),
    ],
)
def test_nothing_beside_the_target_is_touched(tmp_path: Path, archive: io.BytesIO) -> None:
    """``cp CONTAINER:/a home/new`` is about ``new``, whatever a hostile daemon calls its members."""
    (tmp_path / "mine").write_bytes(b"1")
    with pytest.raises(InvalidRequest, match=f'is outside of "{tmp_path}/new"'):
        local_files.unpack(archive, str(tmp_path), "a", "new")
    assert (tmp_path / "mine").read_bytes() == b"1"


@pytest.mark.parametrize("records", [{"mtime": "1e400"}, {"mtime": "nan"}, {"path": "a/\0x"}])
def test_names_and_times_that_no_file_can_have(tmp_path: Path, records: dict[str, str]) -> None:
    member = tarfile.TarInfo("a")
    member.pax_headers = records
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member)
    archive.seek(0)
    with pytest.raises(InvalidRequest, match="the daemon's archive holds what cannot be written here: "):
        local_files.unpack(archive, str(tmp_path), "a", "a")


def test_a_file_that_shrinks_while_it_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_bytes(b"1" * 100)

    def grown(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.size += 100
        return member

    monkeypatch.setattr(local_files, "packable", grown)
    with (
        pytest.raises(Unavailable, match=f"cannot read {tmp_path}/f: unexpected end of data"),
        local_files.packed(f"{tmp_path}/f", "x", follow=False) as stream,
    ):
        stream.read()


def test_nothing_is_written_through_a_link_that_was_there(tmp_path: Path) -> None:
    (outside := tmp_path / "outside").mkdir()
    (folder := tmp_path / "to").mkdir()
    (folder / "a").symlink_to(outside)
    with pytest.raises(InvalidRequest):
        local_files.unpack(pack(("a", None), ("a/x", b"1")), str(folder), "a", "a")
    assert list(outside.iterdir()) == []


def test_what_is_packed(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"1")
    os.mkfifo(tmp_path / "d" / "pipe")
    path, what = local_files.source(f"{tmp_path}/d/.", follow=False)
    assert what == Source(".", is_folder=True)
    with (
        local_files.packed(path, "new", follow=False) as stream,
        tarfile.open(fileobj=io.BytesIO(stream.read())) as tar,
    ):
        assert sorted(tar.getnames()) == ["new", "new/f"]


def test_what_cannot_be_packed(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=f"lstat {tmp_path}/none: no such file or directory"):
        local_files.source(f"{tmp_path}/none", follow=False)
    with (
        pytest.raises(Unavailable, match=f"cannot read {tmp_path}/gone: No such file or directory"),
        local_files.packed(f"{tmp_path}/gone", "x", follow=False) as stream,
    ):
        stream.read()


def test_targets(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "l").symlink_to("new")
    assert local_files.target(f"{tmp_path}/l").path == f"{tmp_path}/new"
    with pytest.raises(InvalidRequest, match=r'invalid output path: directory ".*/none" does not exist'):
        local_files.target(f"{tmp_path}/none/x")
    with pytest.raises(InvalidRequest, match="not a directory"):
        local_files.target(f"{tmp_path}/f/x")
    with pytest.raises(InvalidRequest, match="must be a directory or a regular file"):
        local_files.target("/dev/null")


def test_a_link_that_leads_off_the_volume() -> None:
    assert led("..\\other", ("a", "b")) == ("a", "other")
    with pytest.raises(InvalidRequest, match=r"the link to 'D:/x' cannot be followed: .*system drive \(C:\)"):
        led("D:/x", ("a",))
