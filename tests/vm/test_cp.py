"""linwin cp with real guests: what is copied in, programs read, and what Windows knows of a file is kept."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

from tests.vm.conftest import Linwin

NANOSERVER = "microsoft/nanoserver"
FOREVER = "ping -n 100000 127.0.0.1 >nul"
BIG = 20 << 20
HIDDEN_READ_ONLY_ARCHIVE = "35"


def read_only_file(name: str) -> bytes:
    """A tar of one file as Windows would describe it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo(name)
        info.size = 3
        info.pax_headers = {
            "mtime": "1500000000.25",
            "LIBARCHIVE.creationtime": "1400000000.5",
            "MSWINDOWS.fileattr": HIDDEN_READ_ONLY_ARCHIVE,
        }
        tar.addfile(info, io.BytesIO(b"abc"))
    return target.getvalue()


def described(linwin: Linwin, path: str) -> dict[str, str]:
    """The records of the one file that an archive has."""
    with tarfile.open(fileobj=io.BytesIO(linwin("cp", f"box:{path}", "-").stdout)) as tar:
        (member,) = tar.getmembers()
        return {**member.pax_headers, "mode": f"{member.mode:o}"}


def test_both_ways_running_and_stopped(linwin: Linwin, tmp_path: Path) -> None:
    (note := tmp_path / "note.txt").write_bytes(b"copied before the first start\r\n")
    (big := tmp_path / "big.bin").write_bytes(os.urandom(BIG))
    digest = hashlib.sha256(big.read_bytes()).digest()
    linwin("create", "--name", "box", NANOSERVER, "cmd", "/c", f"type C:\\note.txt & {FOREVER}")
    linwin("cp", str(note), "box:C:\\note.txt")
    linwin("start", "box")

    linwin("cp", str(big), "box:/users/Big.bin")
    linwin("cp", "box:C:\\USERS\\big.BIN", str(tmp_path / "running"))
    assert hashlib.sha256((tmp_path / "running").read_bytes()).digest() == digest
    linwin("cp", "-", "box:/Users", input=read_only_file("running.txt"))
    listed = linwin.text(
        "exec", "box", "cmd", "/c", "attrib C:\\Users\\running.txt & type C:\\users\\running.txt"
    )
    assert "R" in listed.split("C:")[0]
    assert listed.rstrip().endswith("abc")
    linwin("exec", "box", "cmd", "/c", "mkdir C:\\made & echo by a program> C:\\made\\by.txt")
    linwin("cp", "box:/made", str(tmp_path))
    assert (tmp_path / "made" / "by.txt").read_bytes().split() == b"by a program".split()
    kept = described(linwin, "/users/running.txt")
    assert (kept["mtime"], kept["MSWINDOWS.fileattr"], kept["mode"]) == (
        "1500000000.25", HIDDEN_READ_ONLY_ARCHIVE, "555"
    )  # fmt: skip

    linwin("stop", "-t", "1", "box")
    linwin("cp", "box:/users/big.bin", str(tmp_path / "stopped"))
    assert hashlib.sha256((tmp_path / "stopped").read_bytes()).digest() == digest
    assert described(linwin, "/users/running.txt")["MSWINDOWS.fileattr"] == HIDDEN_READ_ONLY_ARCHIVE
    linwin("cp", "-", "box:C:\\Users", input=read_only_file("stopped.txt"))
    linwin("start", "box")
    assert "R" in linwin.text("exec", "box", "cmd", "/c", "attrib C:\\Users\\stopped.txt").split("C:")[0]
    kept = described(linwin, "/users/stopped.txt")
    assert (kept["LIBARCHIVE.creationtime"], kept["MSWINDOWS.fileattr"]) == (
        "1400000000.5", HIDDEN_READ_ONLY_ARCHIVE
    )  # fmt: skip
    logs = linwin.text("logs", "box")
    assert logs.count("copied before the first start") == 2
    linwin("rm", "-f", "box")
