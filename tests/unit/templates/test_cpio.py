"""The initrd's archive format, checked against GNU cpio where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from linwin.templates import cpio


def test_layout_of_one_file() -> None:
    data = cpio.archive([cpio.Entry("init", b"hello", executable=True)])
    assert data.startswith(
        b"070701" + b"00000001" + b"000081ED" + b"00000000" * 2 + b"00000001" + b"00000000"
    )
    assert data[54:62] == b"00000005"
    assert data[110:116] == b"init\0\0"
    assert data[116:124] == b"hello\0\0\0"
    assert data[124:130] == b"070701"
    assert b"TRAILER!!!\0" in data
    assert len(data) % 4 == 0


def test_folders_come_before_what_lies_in_them_whatever_the_order() -> None:
    one = cpio.archive([cpio.Entry("a/b/c", b"1"), cpio.Entry("a-b", b"2")])
    two = cpio.archive([cpio.Entry("a-b", b"2"), cpio.Entry("a/b/c", b"1"), cpio.Entry("a")])
    assert one == two
    assert one.index(b"a\0") < one.index(b"a/b\0") < one.index(b"a/b/c\0")


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../../b", ""])
def test_paths_that_leave_the_archive_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path inside the archive"):
        cpio.archive([cpio.Entry(path, b"")])


def test_a_path_may_occur_once_and_be_one_thing() -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        cpio.archive([cpio.Entry("a", b""), cpio.Entry("a", b"")])
    with pytest.raises(ValueError, match="both a file and a folder"):
        cpio.archive([cpio.Entry("a", b""), cpio.Entry("a/b", b"")])


@pytest.mark.skipif(shutil.which("cpio") is None, reason="GNU cpio is not installed")
def test_gnu_cpio_unpacks_it(tmp_path: Path) -> None:
    data = cpio.archive([cpio.Entry("modules/x.ko", b"\x7fELF"), cpio.Entry("init", b"i", executable=True)])
    subprocess.run(["cpio", "-i", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "modules/x.ko").read_bytes() == b"\x7fELF"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
