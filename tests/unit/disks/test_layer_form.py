"""The form of a layer that is written: its entries, their order and records, and what has no place in it."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from linwin.disks.layer_tar import printed
from linwin.errors import Unsupported
from linwin.layers import Directory, File, HardLink, ReparsePoint, Whiteout, read_layer
from linwin.layers.decode import EPOCH
from tests.unit.disks.conftest import template
from tests.unit.disks.container_disk import (
    Container,
    ContainerDisk,
    junction,
    set_attributes,
    set_extended,
    set_security,
    set_stream,
    symbolic_link,
)
from tests.unit.layers.windows_tar import FULL_FOR_SYSTEM, b64

pytestmark = pytest.mark.root

YEAR_2001 = 1_000_000_000 * 10**9


def members(container: ContainerDisk) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(container.entries())) as tar:
        return {member.name: member for member in tar}


def test_what_changed_lies_below_files_with_all_its_parents(container: Container) -> None:
    def change(c: Path) -> None:
        (c / "data/deep/b.txt").write_text("changed")
        (c / "data/a.txt").unlink()
        (c / "new").mkdir()
        (c / "new/f").write_text("f")
        os.link(c / "new/f", c / "new/g")
        os.link(c / "other/one", c / "new/one more")

    found = members(container(change))
    assert {name: member.type for name, member in found.items()} == {
        "Files": tarfile.DIRTYPE,
        "Files/data": tarfile.DIRTYPE,
        "Files/data/.wh.a.txt": tarfile.REGTYPE,
        "Files/data/deep": tarfile.DIRTYPE,
        "Files/data/deep/b.txt": tarfile.REGTYPE,
        "Files/data/deep/b.txt:Zone.Identifier": tarfile.REGTYPE,
        "Files/new": tarfile.DIRTYPE,
        "Files/new/f": tarfile.REGTYPE,
        "Files/new/g": tarfile.LNKTYPE,
        "Files/new/one more": tarfile.LNKTYPE,
        "Hives": tarfile.DIRTYPE,
        "Files/data/deep:of a folder": tarfile.REGTYPE,
    }
    assert list(found) == [
        "Files", "Files/data", "Files/data/.wh.a.txt", "Files/data/deep", "Files/data/deep:of a folder",
        "Files/data/deep/b.txt", "Files/data/deep/b.txt:Zone.Identifier",
        "Files/new", "Files/new/f", "Files/new/g", "Files/new/one more", "Hives",
    ]  # fmt: skip
    assert found["Files/new/g"].linkname == "Files/new/f"
    assert found["Files/new/one more"].linkname == "Files/data/three"
    assert found["Files/data/.wh.a.txt"].size == 0


def test_records_and_modes(container: Container) -> None:
    def change(c: Path) -> None:
        (c / "f").write_bytes(b"f")
        set_security(c / "f", FULL_FOR_SYSTEM)
        set_extended(c / "f", "A.B", b"value")
        set_attributes(c / "f", 0x22)
        set_stream(c / "f", "s", b"stream")
        os.utime(c / "f", ns=(YEAR_2001 + 500_000_000, YEAR_2001 + 123_456_700))
        symbolic_link(c / "l", "data\\a.txt")
        symbolic_link(c / "ld", "data", folder=True)
        junction(c / "j", "C:\\other")
        os.link(c / "f", c / "g")

    found = members(container(change))
    file = found["Files/f"].pax_headers
    assert set(file) == {
        "LIBARCHIVE.creationtime", "MSWINDOWS.fileattr", "MSWINDOWS.rawsd", "MSWINDOWS.xattr.A.B",
        "atime", "ctime", "mtime",
    }  # fmt: skip
    assert (file["MSWINDOWS.fileattr"], file["MSWINDOWS.rawsd"]) == ("34", b64(FULL_FOR_SYSTEM))
    assert (file["mtime"], file["atime"]) == ("1000000000.1234567", "1000000000.5")
    assert file["MSWINDOWS.xattr.A.B"] == b64(b"value")
    assert found["Files/f"].mtime == pytest.approx(1_000_000_000.1234567)
    modes = {name: oct(member.mode) for name, member in found.items()}
    assert modes == {
        "Files": "0o40000", "Files/f": "0o100000", "Files/f:s": "0o100000", "Files/g": "0o0",
        "Files/j": "0o160000", "Files/l": "0o120000", "Files/ld": "0o160000", "Hives": "0o40000",
    }  # fmt: skip
    for name in ("Files/f:s", "Files/g"):
        assert found[name].pax_headers == {}
    assert found["Files/l"].linkname == "data\\a.txt"
    assert found["Files/j"].linkname == "C:\\other"
    assert found["Files/j"].pax_headers["MSWINDOWS.mountpoint"] == "1"
    assert int(found["Files/j"].pax_headers["MSWINDOWS.fileattr"]) & 0x410 == 0x410
    assert not any(key.startswith("LINWIN") for member in found.values() for key in member.pax_headers)


def test_the_reader_of_layers_reads_it(container: Container, tmp_path: Path) -> None:
    def change(c: Path) -> None:
        (c / "data/a.txt").write_text("changed")
        (c / "data/large.bin").unlink()
        os.link(c / "data/a.txt", c / "empty/link")
        junction(c / "empty/junction", "C:\\data")

    written = container(change).layer()
    entries = list(read_layer(tmp_path / "layer.tar", written.diff_id, limit=1 << 20))
    kinds = {entry.path: type(entry) for entry in entries if not isinstance(entry, str)}  # type: ignore[union-attr]
    assert kinds == {
        "": Directory,
        "data": Directory,
        "data/a.txt": File,
        "data/large.bin": Whiteout,
        "empty": Directory,
        "empty/junction": ReparsePoint,
        "empty/link": HardLink,
    }


def test_diff_id_and_size_are_the_tars(container: Container, tmp_path: Path) -> None:
    written = container(lambda c: (c / "f").write_text("f")).layer()
    data = (tmp_path / "layer.tar").read_bytes()
    assert written.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert (written.size, written.is_empty) == (len(data), False)
    assert not (tmp_path / "layer.tar.new").exists()


def test_a_renamed_folder_is_a_whiteout_and_all_that_is_in_it(container: Container) -> None:
    found = members(container(lambda c: (c / "data/deep").rename(c / "moved")))
    assert [name for name in found if "deep" in name or "moved" in name] == [
        "Files/data/.wh.deep",
        "Files/moved",
        "Files/moved:of a folder",
        "Files/moved/b.txt",
        "Files/moved/b.txt:Zone.Identifier",
        "Files/moved/deeper",
        "Files/moved/deeper/c.txt",
    ]


def test_a_file_renamed_in_case_only_is_no_whiteout(container: Container) -> None:
    found = members(container(lambda c: (c / "data/a.txt").rename(c / "data/A.TXT")))
    assert list(found) == ["Files", "Files/data", "Files/data/A.TXT", "Hives"]


def test_a_folder_renamed_in_case_only_is_not_written_again(container: Container) -> None:
    changed = container(lambda c: (c / "data").rename(c / "Data"))
    assert list(members(changed)) == ["Files", "Files/Data", "Hives"]
    changed.confirm(renamed=["data"])


def test_a_deleted_tree_is_one_whiteout(container: Container) -> None:
    found = members(container(lambda c: shutil.rmtree(c / "data/deep")))
    assert list(found) == ["Files", "Files/data", "Files/data/.wh.deep", "Hives"]


def test_one_more_name_costs_no_data(container: Container) -> None:
    written = container(lambda c: os.link(c / "data/large.bin", c / "empty/link")).layer()
    assert written.size < 20_000


def test_what_was_only_looked_at_is_not_in_it(container: Container) -> None:
    changed = container(
        lambda c: [path.read_bytes() for path in c.rglob("*") if path.is_file()],
        lambda c: os.utime(c / "data/a.txt", ns=(YEAR_2001, (c / "data/a.txt").stat().st_mtime_ns)),
        options="atime",
    )
    assert changed.layer().is_empty


def test_what_was_changed_back_is_not_in_it(container: Container) -> None:
    def there_and_back(c: Path) -> None:
        time = (c / "data/large.bin").stat().st_mtime_ns
        data = (c / "data/large.bin").read_bytes()
        (c / "data/large.bin").write_bytes(b"")
        (c / "data/large.bin").write_bytes(data)
        os.utime(c / "data/large.bin", ns=(time, time))

    assert container(there_and_back).layer().is_empty


# ---- empty, equal, clamped ----------------------------------------------------------


def test_an_empty_layer_is_a_layer(container: Container, tmp_path: Path) -> None:
    untouched = container()
    written = untouched.layer()
    assert written.is_empty
    assert list(members(untouched)) == ["Files", "Hives"]
    assert len(list(read_layer(tmp_path / "layer.tar", written.diff_id, limit=1 << 20))) == 1
    untouched.confirm()


def test_equal_changes_give_equal_bytes(populated: Path, tmp_path: Path, container: Container) -> None:
    def change(c: Path) -> None:
        (c / "new/sub").mkdir(parents=True)
        for name in ("x", "y", "z"):
            (c / "new/sub" / name).write_text(name * 2000)
        os.link(c / "new/sub/x", c / "new/sub/link")
        (c / "data/a.txt").unlink()

    def otherwise(c: Path) -> None:
        (c / "in between").write_bytes(bytes(200_000))
        for name in ("z", "y", "x"):
            (c / "data" / name).write_text("not for long")
            (c / "data" / name).unlink()
        change(c)
        (c / "in between").unlink()

    (tmp_path / "second").mkdir()
    container(change).layer(latest=YEAR_2001)
    second = ContainerDisk.on(populated, tmp_path / "second", template).change(otherwise)
    second.layer(latest=YEAR_2001)
    assert (tmp_path / "layer.tar").read_bytes() == (tmp_path / "second/layer.tar").read_bytes()


def test_no_time_is_later_than_the_latest(container: Container, tmp_path: Path) -> None:
    changed = container(
        lambda c: ((c / "new").mkdir(), (c / "new/f").write_text("f")),
        lambda c: os.utime(c / "new/f", ns=(YEAR_2001 - 10**9, YEAR_2001 - 2 * 10**9)),
    )
    written = changed.layer(latest=YEAR_2001)
    latest = EPOCH + YEAR_2001 // 100
    for entry in read_layer(tmp_path / "layer.tar", written.diff_id, limit=1 << 20):
        if isinstance(entry, (File, Directory)):
            m = entry.metadata
            assert max(m.created, m.modified, m.changed, m.accessed) <= latest
            if isinstance(entry, File):
                assert m.modified == latest - 2 * 10**7
                assert (m.created, m.accessed) == (latest, latest - 10**7)


# ---- what no layer can hold -----------------------------------------------------------


def refused(container: ContainerDisk) -> tuple[str, str | None]:
    with pytest.raises(Unsupported) as caught:
        container.layer()
    assert not (container.scratch / "layer.tar").exists()
    assert not (container.scratch / "layer.tar.new").exists()
    return caught.value.message, caught.value.hint


def test_a_reparse_point_that_is_no_link(container: Container) -> None:
    app_exec_link = bytes.fromhex("1b00008004000000") + b"\x03\0\0\0"

    def change(c: Path) -> None:
        (c / "empty/python.exe").touch()
        os.setxattr(c / "empty/python.exe", "system.ntfs_reparse_data", app_exec_link)

    assert refused(container(change)) == (
        '"C:\\empty\\python.exe" is neither a file nor a folder nor a link (its reparse tag is 0x8000001b),'
        " which no layer can hold",
        "Delete it in the container, then try again.",
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("aux", "'aux' is the name of a device"),
        ("ends in a dot.", "a name cannot end in a dot or a space"),
        (".wh.x", "a name that begins with .wh. is none but a whiteout's"),
        ("a:b", "the character ':' is not allowed in a name"),
    ],
)
def test_a_name_that_windows_cannot_have(container: Container, name: str, reason: str) -> None:
    message, hint = refused(container(lambda c: (c / "empty" / name).write_text("x")))
    assert message == f'"C:\\empty\\{name}" cannot be in a layer: {reason}'
    assert hint == "Delete or rename it in the container, then try again."


@pytest.mark.parametrize("beside", ["a new one", "one of the image"])
def test_names_that_differ_in_case_only(container: Container, beside: str) -> None:
    def change(c: Path) -> None:
        if beside == "a new one":
            (c / "data/NEW").touch()
            (c / "data/new").touch()
        else:
            (c / "data/LARGE.bin").touch()

    message, hint = refused(container(change))
    name = "new" if beside == "a new one" else "LARGE.bin"
    assert (
        message.lower()
        == (
            f'"c:\\data\\{name}" has a name that differs from another\'s in case only,'
            " and windows takes both for one"
        ).lower()
    )
    assert hint == "Delete or rename one of them in the container, then try again."


@pytest.mark.parametrize("name", [".wh.x", ".wh..wh..opq"])
def test_an_empty_file_is_not_taken_for_a_whiteout(container: Container, name: str) -> None:
    message, _ = refused(container(lambda c: (c / "empty" / name).touch()))
    assert message == (
        f'"C:\\empty\\{name}" cannot be in a layer: a name that begins with .wh. is none but a whiteout\'s'
    )


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("data\\a.txt", "data\\a.txt"),
        ("C:\\data", "C:\\data"),
        ("\\??\\C:\\data", "C:\\data"),
        ("\\??\\UNC\\host\\share", "\\\\host\\share"),
        ("\\??\\Volume{1}\\", "\\\\?\\Volume{1}\\"),
    ],
)
def test_targets_of_links_that_have_no_print_name(target: str, told: str) -> None:
    assert printed(target) == told


def test_an_encrypted_file(container: Container) -> None:
    def encrypt(c: Path) -> None:
        (c / "empty/secret").write_bytes(bytes(4096) + b"\0\0")
        os.setxattr(c / "empty/secret", "system.ntfs_efsinfo", (512).to_bytes(4, "little") + bytes(508))

    assert refused(container(encrypt, options="noatime,efs_raw")) == (
        '"C:\\empty\\secret" is encrypted, so only Windows can read it',
        "Decrypt it in the container (cipher /d), or delete it, then try again.",
    )
