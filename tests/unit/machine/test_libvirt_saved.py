"""A file that libvirt saved, given to a clone with another description."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from linwin.errors import Unavailable
from linwin.machine.libvirt import saved

XML, COOKIE, STREAM = (
    b"<domain>of the one that was saved</domain>\0",
    b"<cookie/>\0",
    b"QEVM" + bytes(3 << 20),
)


def file_of(
    path: Path, *, version: int = 2, cookie: bytes = COOKIE, magic: bytes = b"LibvirtQemudSave"
) -> Path:
    """A file as libvirt writes it: the description is padded, so that it can grow."""
    data = (XML + cookie).ljust(1000, b"\0")
    numbers = struct.pack("=16s5I", magic, version, len(data), 1, 0, len(XML) if cookie else 0)
    path.write_bytes(numbers + bytes(56) + data + STREAM)
    return path


def parsed(beginning: bytes) -> tuple[tuple[int, ...], bytes]:
    numbers = struct.unpack_from("=5I", beginning, 16)
    return numbers, beginning[saved.HEADER :]


@pytest.mark.parametrize("cookie", [COOKIE, b""])
@pytest.mark.parametrize("size", [10, 900, 5000])
def test_only_the_description_differs(tmp_path: Path, size: int, cookie: bytes) -> None:
    description = "ü" + "x" * size
    path = file_of(tmp_path / "saved", cookie=cookie)
    with path.open("rb") as file:
        beginning, rest = saved.redescribed(file, description)
        assert file.read()[rest:] == STREAM
    (version, length, running, compressed, at), data = parsed(beginning)
    assert (version, running, compressed) == (2, 1, 0)
    assert len(data) == length >= 1000
    text = description.encode() + b"\0"
    assert data.startswith(text + cookie)
    assert data[len(text + cookie) :].strip(b"\0") == b""
    assert at == (len(text) if cookie else 0)


@pytest.mark.parametrize(
    ("options", "length", "sentence"),
    [
        ({"magic": b"LibvirtQemudPart"}, None, "no file that libvirt saved"),
        ({}, 20, "no file that libvirt saved"),
        ({}, 500, r"a form that linwin does not know \(2\)"),
        ({"version": 3}, None, r"a form that linwin does not know \(3\)"),
    ],
)
def test_what_is_no_such_file_is_refused(
    tmp_path: Path, options: dict[str, int | bytes], length: int | None, sentence: str
) -> None:
    path = file_of(tmp_path / "saved", **options)  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes()[:length])
    with path.open("rb") as file, pytest.raises(Unavailable, match=sentence):
        saved.redescribed(file, "<domain/>")


def test_a_reader_of_the_pipe_has_all_of_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    pipe.write_text("left by one that was killed")
    with file_of(tmp_path / "saved").open("rb") as file:
        beginning, rest = saved.redescribed(file, "<domain/>")
        for _ in range(2):
            read = saved.through_pipe(pipe, beginning, file, rest, lambda path: Path(path).read_bytes())
            assert read == beginning + STREAM
    assert not pipe.exists()


@pytest.mark.parametrize("bytes_read", [None, 0, 100])
def test_a_reader_that_gives_up_is_not_waited_for(tmp_path: Path, bytes_read: int | None) -> None:
    def read(path: str) -> None:
        if bytes_read is not None:
            with open(path, "rb", buffering=0) as pipe:
                pipe.read(bytes_read)
        raise LookupError

    with file_of(tmp_path / "saved").open("rb") as file:
        beginning, rest = saved.redescribed(file, "<domain/>")
        with pytest.raises(LookupError):
            saved.through_pipe(tmp_path / "pipe", beginning, file, rest, read)
    assert not (tmp_path / "pipe").exists()


def test_a_file_that_cannot_be_read_on_is_told_and_not_how_its_reader_ended(tmp_path: Path) -> None:
    def read(path: str) -> None:
        Path(path).read_bytes()
        raise LookupError

    saved_file = file_of(tmp_path / "saved")
    with saved_file.open("rb") as file:
        beginning, rest = saved.redescribed(file, "<domain/>")
    with saved_file.open("ab") as unreadable, pytest.raises(OSError, match="Bad file descriptor"):
        saved.through_pipe(tmp_path / "pipe", beginning, unreadable, rest, read)
    assert not (tmp_path / "pipe").exists()


def test_a_reader_that_comes_late_sees_the_end_of_what_failed_at_once(tmp_path: Path) -> None:
    def late(path: str) -> bytes:
        time.sleep(0.2)  # longer than a feeder takes to fail, which tells nobody
        return Path(path).read_bytes()

    saved_file = file_of(tmp_path / "saved")
    with saved_file.open("rb") as file:
        beginning, rest = saved.redescribed(file, "<domain/>")
    with saved_file.open("ab") as unreadable:
        read = saved.through_pipe(tmp_path / "pipe", beginning, unreadable, rest, late)
    assert read == beginning
