"""save and image disk: the file is whole or absent."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from linwin.cli import image_disk
from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.screen import read_terminal

TAR = bytes(range(256)) * 5000
ROUTE = "GET /images/get"
DISK_ROUTE = "GET /linwin/images/microsoft/nanoserver:latest/disk"


def archive(body: bytes) -> Reply:
    return Reply(body=body, content_type="application/x-tar")


def cut(_: Any, connection: Any) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def test_save_to_a_pipe(daemon: Any, spawn: Any) -> None:
    daemon.on(ROUTE, archive(TAR))
    process = spawn("save", "a", "host:5000/b:1")
    assert process.communicate(timeout=30) == (TAR, b"")
    assert process.returncode == 0
    assert daemon.asked(ROUTE).query == {"names": "host:5000/b:1"}


def test_save_to_a_file(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    daemon.on(ROUTE, archive(TAR))
    (tmp_path / "link").symlink_to("o.tar")
    result = linwin("save", "-o", str(tmp_path / "link"), "a")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert (tmp_path / "o.tar").read_bytes() == TAR
    assert (tmp_path / "o.tar").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "o.tar"]
    daemon.on(ROUTE, archive(b"new"))
    assert linwin("image", "save", "-o", str(tmp_path / "o.tar"), "a").code == 0
    assert (tmp_path / "o.tar").read_bytes() == b"new"


def test_save_refuses_a_terminal(daemon: Any, spawn: Any) -> None:
    ours, theirs = pty.openpty()
    process = spawn("save", "a", stdout=theirs)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as screen:
        assert read_terminal(screen) == ""
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (
        1,
        b"linwin: cowardly refusing to save to a terminal. Use the -o flag or redirect\n",
    )
    assert daemon.requests == []


@pytest.mark.parametrize("before", [None, b"older"])
@pytest.mark.parametrize(
    ("answer", "err"),
    [
        (error(404, "No such image: a:latest"), "linwin: No such image: a:latest\n"),
        (cut, "linwin: the daemon closed the connection\nSee its log: linwin daemon status\n"),
    ],
)
def test_a_save_that_fails_leaves_what_was_there(
    daemon: Any, linwin: Any, tmp_path: Path, before: bytes | None, answer: Any, err: str
) -> None:
    daemon.on(ROUTE, answer)
    target = tmp_path / "o.tar"
    if before:
        target.write_bytes(before)
    result = linwin("save", "-o", str(target), "a")
    assert (result.code, result.out, result.err) == (1, "", err)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_save_to_what_is_no_file(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for target, sentence in (
        (str(tmp_path), f"cannot write to a directory: {tmp_path}"),
        (f"{missing}/o.tar", f"there is no directory {missing}\ncreate it, or name another"),
        ("/dev/null", "/dev/null is not a regular file"),
        ("/proc/o.tar", "cannot write /proc/o.tar: No such file or directory"),
    ):
        result = linwin("save", "-o", target, "a")
        assert (result.code, result.out, result.err) == (1, "", f"linwin: {sentence}\n")
    assert daemon.requests == []


@pytest.fixture(scope="module")
def qcow2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 MiB, of which the first 64 KiB hold something."""
    folder = tmp_path_factory.mktemp("disk")
    raw = folder / "raw"
    with raw.open("wb") as file:
        file.write(b"C" * 65536)
        file.truncate(16 << 20)
    disk = folder / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True)
    return disk


def test_disk_as_it_comes(daemon: Any, linwin: Any, tmp_path: Path, qcow2: Path) -> None:
    daemon.on(DISK_ROUTE, Reply(body=qcow2.read_bytes(), content_type="application/octet-stream"))
    target = tmp_path / "c.qcow2"
    result = linwin("image", "disk", "microsoft/nanoserver:latest", "-o", str(target))
    assert (result.code, result.out, result.err) == (0, "", "")
    assert target.read_bytes() == qcow2.read_bytes()
    assert list(tmp_path.iterdir()) == [target]


def test_disk_as_raw_is_sparse(daemon: Any, linwin: Any, tmp_path: Path, qcow2: Path) -> None:
    daemon.on(DISK_ROUTE, Reply(body=qcow2.read_bytes()))
    target = tmp_path / "c.raw"
    result = linwin("image", "disk", "--format", "raw", "-o", str(target), "microsoft/nanoserver:latest")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert target.stat().st_size == 16 << 20
    assert target.stat().st_blocks * 512 < 1 << 20
    assert target.read_bytes().rstrip(b"\0") == b"C" * 65536
    assert list(tmp_path.iterdir()) == [target]


def with_bytes(disk: bytes, offset: int, value: bytes) -> bytes:
    return disk[:offset] + value + disk[offset + len(value) :]


@pytest.mark.parametrize("form", ["qcow2", "raw"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda disk: b"",
        lambda disk: disk[:80],
        lambda disk: with_bytes(disk, 0, b"RAW!"),
        lambda disk: with_bytes(disk, 8, (4096).to_bytes(8, "big")),  # a backing file's name
        lambda disk: with_bytes(disk, 72, (4).to_bytes(8, "big")),  # an external data file
    ],
)
def test_a_disk_that_would_lead_elsewhere_is_not_taken(
    daemon: Any, linwin: Any, tmp_path: Path, qcow2: Path, form: str, spoil: Any
) -> None:
    daemon.on("GET /linwin/images/a/disk", Reply(body=spoil(qcow2.read_bytes())))
    result = linwin("image", "disk", "--format", form, "-o", str(tmp_path / "c"), "a")
    assert (result.code, result.err) == (
        1,
        "linwin: the daemon did not send the disk of a as one qcow2 file\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_converted(daemon: Any, linwin: Any, tmp_path: Path, qcow2: Path) -> None:
    spoiled = with_bytes(qcow2.read_bytes(), 72, (1 << 40).to_bytes(8, "big"))
    daemon.on("GET /linwin/images/a/disk", Reply(body=spoiled))
    result = linwin("image", "disk", "--format", "raw", "-o", str(tmp_path / "c"), "a")
    assert result.code == 1
    assert result.err.startswith("linwin: cannot convert the disk: qemu-img: Could not open ")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_the_daemon_refuses(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    for answer, sentence in (
        (error(404, "No such image: a:latest"), "No such image: a:latest\n"),
        (cut, "the daemon closed the connection\nSee its log: linwin daemon status\n"),
    ):
        daemon.on("GET /linwin/images/a/disk", answer)
        result = linwin("image", "disk", "-o", str(tmp_path / "c"), "a")
        assert (result.code, result.err) == (1, f"linwin: {sentence}")
        assert list(tmp_path.iterdir()) == []


def test_raw_needs_the_converter(
    daemon: Any, linwin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shutil.which(image_disk.CONVERTER)
    monkeypatch.setenv("PATH", "/nonexistent")
    result = linwin("image", "disk", "--format", "raw", "-o", str(tmp_path / "c"), "a")
    assert (result.code, result.err) == (
        1,
        "linwin: qemu-img, which makes raw disks, is not installed here\n"
        "install it (on Debian: qemu-utils), or take --format qcow2\n",
    )
    assert daemon.requests == []
    assert list(tmp_path.iterdir()) == []


def test_disk_without_a_file(daemon: Any, linwin: Any) -> None:
    result = linwin("image", "disk", "a")
    assert result.code == 125
    assert daemon.requests == []
