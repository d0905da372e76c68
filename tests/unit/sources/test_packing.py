"""What is copied: the tar that a disk or a guest unpacks."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from linwin.errors import InvalidRequest, NotFound, Unavailable
from linwin.layers import EPOCH, Metadata, tar
from linwin.layers.copied import stream_record
from linwin.layers.encode import END, member_header, padding
from linwin.model.build import FromArchive, FromContext, FromFile, FromText, NewFolder
from linwin.sources import packing
from tests.unit.sources.tars import (
    FILETIME,
    TIME,
    Unpacked,
    context_of,
    copied,
    folder,
    member,
    packed,
    tar_of,
)

RAW = Metadata(0x22, EPOCH + 1, EPOCH + 2, EPOCH + 3, EPOCH + 4, None, ())


def test_a_file_gets_the_name_that_it_is_given(tmp_path: Path) -> None:
    context = context_of(tmp_path, {"a/b.txt": "hello"})
    assert copied(context, tmp_path, "a/b.txt", "x/y.txt") == {"x/y.txt": Unpacked(b"hello")}


def test_of_a_folder_what_is_in_it_is_copied(tmp_path: Path) -> None:
    files = {"src": None, "src/a": "1", "src/lib": None, "src/lib/ü": "2", "other": "3", "src/empty": None}
    context = context_of(tmp_path, files)
    assert copied(context, tmp_path, "src", "app/bin") == {
        "app/bin/a": Unpacked(b"1"),
        "app/bin/empty": folder(),
        "app/bin/lib": folder(),
        "app/bin/lib/ü": Unpacked(b"2"),
    }
    assert list(copied(context, tmp_path)) == ["other", "src", "src/a", "src/empty", "src/lib", "src/lib/ü"]


def test_times_are_kept_to_what_windows_can(tmp_path: Path) -> None:
    later = member("b", tarfile.DIRTYPE, time=TIME + 0.25)
    assert copied(context_of(tmp_path, {"a": ""}, [later]), tmp_path)["b"].time == FILETIME + 2_500_000


def test_a_folder_that_no_entry_is_about_is_no_entry(tmp_path: Path) -> None:
    assert list(copied(context_of(tmp_path, {"a/b/c": ""}), tmp_path)) == ["a/b/c"]


def test_links_are_copied_as_links_and_know_what_they_lead_to(tmp_path: Path) -> None:
    links = [
        member("src/file", tarfile.SYMTYPE, link="../a.txt"),
        member("src/folder", tarfile.SYMTYPE, link="/docs"),
        member("src/up", tarfile.SYMTYPE, link="."),
        member("src/dead", tarfile.SYMTYPE, link="nowhere"),
    ]
    found = copied(context_of(tmp_path, {"a.txt": "", "docs": None}, links), tmp_path, "src", "")
    assert found == {
        "dead": Unpacked("nowhere", attributes=0),
        "file": Unpacked("..\\a.txt", attributes=0),
        "folder": Unpacked("\\docs", attributes=0x10),
        "up": Unpacked(".", attributes=0x10),
    }


def test_a_source_that_is_a_link_is_what_it_leads_to(tmp_path: Path) -> None:
    context = context_of(tmp_path, {"v2/a": "1"}, [member("latest", tarfile.SYMTYPE, link="v2")])
    assert copied(context, tmp_path, "latest", "app") == {"app/a": Unpacked(b"1")}


def test_hard_links_are_files(tmp_path: Path) -> None:
    context = context_of(tmp_path, {"a": "1"}, [member("b", tarfile.LNKTYPE, link="./a")])
    assert copied(context, tmp_path) == {"a": Unpacked(b"1"), "b": Unpacked(b"1")}


def test_of_an_entry_that_comes_twice_the_later_counts(tmp_path: Path) -> None:
    link = member("a", tarfile.SYMTYPE, link="b")
    assert copied(context_of(tmp_path, {"a": "1", "b": "2"}, [link]), tmp_path)["a"].what == "b"
    again = member("b", tarfile.DIRTYPE)
    assert copied(context_of(tmp_path, {"b": "2"}, [again, member("b/c")]), tmp_path) == {
        "b": folder(),
        "b/c": Unpacked(b""),
    }


def test_texts_folders_and_files_of_the_host(tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    fetched.write_bytes(b"\0" * 700)
    os.utime(fetched, ns=(0, 1_500_000_000_123_456_789))
    items = [NewFolder("app/logs"), FromText("grüezi\n", "app/hello.txt"), FromFile(fetched, "app/x.bin")]
    assert packed(context_of(tmp_path, {}), tmp_path, *items) == {
        "app/logs": folder(EPOCH),
        "app/hello.txt": Unpacked("grüezi\n".encode(), EPOCH),
        "app/x.bin": Unpacked(b"\0" * 700, EPOCH + 15_000_000_001_234_567),
    }


def test_the_same_gives_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for files in ({"a": "1", "b/c": "2"}, {"b/c": "2", "a": "1"}):
        context = context_of(tmp_path, files)
        context.pack([NewFolder("x"), FromContext("", "x"), FromText("t", "x/t")], tmp_path / "out.tar")
        digests.add(hashlib.sha256((tmp_path / "out.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_pack_of_nothing_is_an_archive_of_nothing(tmp_path: Path) -> None:
    assert packed(context_of(tmp_path, {}), tmp_path) == {}


def test_a_file_of_several_pieces(tmp_path: Path) -> None:
    data = os.urandom((2 << 20) + 17)
    assert copied(context_of(tmp_path, {"big": data, "b": "1"}), tmp_path)["big"].what == data


def test_what_was_selected_and_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refusal:
        copied(context_of(tmp_path, {}), tmp_path, "x", "y")
    assert refusal.value.message == '"x" is not in the build context'


def test_names_that_differ_in_case_alone_are_refused_together(tmp_path: Path) -> None:
    context = context_of(tmp_path, {"src/Read.me": "", "src/README": "", "src/read.ME": ""})
    with pytest.raises(InvalidRequest) as refusal:
        copied(context, tmp_path, "", "app")
    assert refusal.value.message == (
        'the build context, entry "src/read.ME": "Read.me" differs from it in case alone, '
        "and Windows can have only one of them"
    )
    assert refusal.value.hint == "Rename it, or leave it out of the build with a line in .dockerignore."
    assert copied(context_of(tmp_path, {"ß": "", "SS": ""}), tmp_path).keys() == {"ß", "SS"}


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_archive_is_unpacked_where_it_goes(compress: object, tmp_path: Path) -> None:
    inner = tar_of(
        {"bin": None, "bin/a.exe": "MZ", "C:\\etc\\b.ini": "[b]", "./": None},
        [member("bin/l", tarfile.SYMTYPE, link="a.exe"), member("c", tarfile.LNKTYPE, link="bin/a.exe")],
    )
    assert callable(compress)
    context = context_of(tmp_path, {"in.tar": compress(inner)})
    assert packed(context, tmp_path, FromContext("in.tar", "app", unpack=True)) == {
        "app/bin": folder(),
        "app/bin/a.exe": Unpacked(b"MZ"),
        "app/etc/b.ini": Unpacked(b"[b]"),
        "app/bin/l": Unpacked("a.exe", attributes=0),
        "app/c": Unpacked("a hard link to app/bin/a.exe"),
    }
    assert "bin/a.exe" in packed(context, tmp_path, FromContext("in.tar", "", unpack=True))


def test_a_hostile_archive_is_refused_by_its_name(tmp_path: Path) -> None:
    for inner, sentence in [
        (tar_of({"../x": "1"}), 'entry "../x": it is outside of the folder that is copied to'),
        (tar_of({"a": "1" * 600})[:700], 'entry "a": the archive ends in the middle of it'),
        (
            tar_of({}, [member("p", tarfile.FIFOTYPE)]),
            'entry "p": a named pipe has no place on a Windows volume',
        ),
    ]:
        context = context_of(tmp_path, {"in.tar": inner})
        with pytest.raises(InvalidRequest) as refusal:
            packed(context, tmp_path, FromContext("in.tar", "app", unpack=True))
        assert refusal.value.message == f'the archive "in.tar", {sentence}'
        assert refusal.value.hint == "Make the archive again, or COPY it to have it as a file."


def test_an_archive_cannot_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(tar_of({"zeros": bytes(30 << 20)}))
    context = context_of(tmp_path, {"bomb.tgz": bomb})
    monkeypatch.setattr(packing, "room_in", lambda _: 20 << 20)
    with pytest.raises(Unavailable) as refusal:
        packed(context, tmp_path, FromContext("bomb.tgz", "app", unpack=True))
    assert refusal.value.message.startswith("no space left on device while ")
    assert refusal.value.hint == "Free space below LINWIN_ROOT, for example with: linwin image prune"


def of_c_drive(names: dict[str, bytes | None]) -> bytes:
    """An archive as linwin makes it of a C:, whose members come with a stream and attributes."""
    written = io.BytesIO()
    for name, data in names.items():
        records = [stream_record("zone", b"3")]
        if data is None:
            written.write(member_header(f"{name}/", tar.DIRECTORY, 0, RAW, records=records))
        else:
            written.write(
                member_header(name, tar.FILE, len(data), RAW, records=records) + data + padding(len(data))
            )
    return written.getvalue() + END


def test_what_was_read_of_a_c_drive_keeps_all_but_its_name(tmp_path: Path) -> None:
    archive = tmp_path / "read.tar"
    archive.write_bytes(of_c_drive({"app": None, "app/x": None, "app/x/a.dll": b"MZ"}))
    assert packed(context_of(tmp_path, {}), tmp_path, FromArchive(archive, "new/place")) == {
        "new/place/x": Unpacked("a folder", EPOCH + 2, 0x10),
        "new/place/x:zone": Unpacked(b"3"),
        "new/place/x/a.dll": Unpacked(b"MZ", EPOCH + 2, 0x22),
        "new/place/x/a.dll:zone": Unpacked(b"3"),
    }
    archive.write_bytes(of_c_drive({"a.dll": b"MZ"}))
    assert packed(context_of(tmp_path, {}), tmp_path, FromArchive(archive, "b.dll"))["b.dll"] == Unpacked(
        b"MZ", EPOCH + 2, 0x22
    )


def test_the_whole_of_a_c_drive_has_a_slash_for_its_name(tmp_path: Path) -> None:
    archive = tmp_path / "read.tar"
    archive.write_bytes(of_c_drive({"/": None, "/a.dll": b"MZ"}))
    assert "copy/a.dll" in packed(context_of(tmp_path, {}), tmp_path, FromArchive(archive, "copy"))


def test_nothing_is_kept_of_a_pack_in_a_file_that_is_no_place(tmp_path: Path) -> None:
    context = context_of(tmp_path, {"a": "1"})
    with pytest.raises(Unavailable) as refusal:
        context.pack([FromContext("a", "a")], tmp_path / "missing" / "out.tar")
    assert refusal.value.message == "failed while the files to copy were packed: No such file or directory"
    assert not (tmp_path / "missing").exists()
