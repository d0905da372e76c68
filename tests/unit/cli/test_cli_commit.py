"""commit, export and import, against a scripted daemon: what is asked, and what is printed."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Result
from tests.unit.cli.fake_daemon import Reply, error
from tests.unit.cli.screen import read_terminal

ID = "sha256:" + "ab" * 32
COMMIT, EXPORT, IMPORT = "POST /commit", "GET /containers/box/export", "POST /images/create"
TAR = bytes(range(256)) * 100


@pytest.mark.parametrize("words", [("commit",), ("container", "commit")])
def test_a_commit(daemon: Any, linwin: Any, words: tuple[str, ...]) -> None:
    daemon.on(COMMIT, Reply(201, {"Id": ID}))
    assert linwin(*words, "box") == Result(0, f"{ID}\n", "")
    request = daemon.asked(COMMIT)
    assert (request.query, request.body) == ({"container": "box", "pause": "1"}, b"")


def test_all_options_of_a_commit(daemon: Any, linwin: Any) -> None:
    daemon.on(COMMIT, Reply(201, {"Id": ID}))
    options = ["-a", "Jane <j@x>", "-m", "words", "-c", 'CMD ["a"]', "--pause=false"]
    assert linwin("commit", *options, "box", "host:5000/app").code == 0
    assert daemon.asked(COMMIT).query == {
        "container": "box",
        "author": "Jane <j@x>",
        "comment": "words",
        "changes": 'CMD ["a"]',
        "pause": "0",
        "repo": "host:5000/app",
        "tag": "latest",
    }


def test_a_commit_that_is_refused(daemon: Any, linwin: Any) -> None:
    daemon.on(COMMIT, error(404, "No such container: box"))
    assert linwin("commit", "box", "a:1") == Result(1, "", "linwin: No such container: box\n")
    assert linwin("commit", "box", "a:").err.startswith("linwin: invalid reference format\n")
    assert linwin("commit").err.startswith("linwin: 'linwin commit' requires ")


@pytest.mark.parametrize("words", [("export",), ("container", "export")])
def test_an_export(daemon: Any, linwin: Any, spawn: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    daemon.on(EXPORT, Reply(body=TAR, content_type="application/octet-stream"))
    assert linwin(*words, "-o", f"{tmp_path}/box.tar", "box") == Result(0, "", "")
    assert (tmp_path / "box.tar").read_bytes() == TAR
    process = spawn(*words, "box")
    assert process.communicate(timeout=30) == (TAR, b"")


def test_an_export_that_is_refused_leaves_no_file(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    daemon.on(EXPORT, error(404, "No such container: box"))
    result = linwin("export", "-o", f"{tmp_path}/box.tar", "box")
    assert result == Result(1, "", "linwin: No such container: box\n")
    assert list(tmp_path.iterdir()) == []


def test_an_export_refuses_a_terminal(daemon: Any, spawn: Any) -> None:
    ours, theirs = pty.openpty()
    process = spawn("export", "box", stdout=theirs)
    os.close(theirs)
    with open(ours, "rb", buffering=0) as screen:
        assert read_terminal(screen) == ""
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (
        1,
        b"linwin: cowardly refusing to save to a terminal. Use the -o flag or redirect\n",
    )
    assert daemon.requests == []


@pytest.mark.parametrize("words", [("import",), ("image", "import")])
def test_an_import_of_a_file(daemon: Any, linwin: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "box.tar").write_bytes(TAR)
    daemon.on(IMPORT, Reply(lines=[{"status": ID}]))
    options = ["-c", "ENV A=b", "-m", "words", "--platform", "windows/amd64"]
    assert linwin(*words, *options, f"{tmp_path}/box.tar", "team/app:2") == Result(0, f"{ID}\n", "")
    request = daemon.asked(IMPORT)
    assert request.body == TAR
    assert request.query == {
        "fromSrc": "-",
        "repo": "team/app:2",
        "message": "words",
        "changes": "ENV A=b",
        "platform": "windows/amd64",
    }


def test_an_import_of_standard_input(daemon: Any, spawn: Any) -> None:
    daemon.on(IMPORT, Reply(lines=[{"status": ID}]))
    process = spawn("import", "-")
    assert process.communicate(TAR, timeout=30) == (f"{ID}\n".encode(), b"")
    assert daemon.asked(IMPORT).body == TAR


def test_an_import_of_an_address_is_left_to_the_daemon(daemon: Any, linwin: Any) -> None:
    address = "https://x.example/a.tar"
    daemon.on(IMPORT, Reply(lines=[{"status": f"Downloading from {address}"}, {"status": ID}]))
    assert linwin("import", address) == Result(0, f"Downloading from {address}\n{ID}\n", "")
    request = daemon.asked(IMPORT)
    assert (request.query, request.body) == ({"fromSrc": address}, b"")


def test_an_import_that_fails(daemon: Any, linwin: Any, tmp_path: Path) -> None:
    missing = f"{tmp_path}/none"
    result = linwin("import", missing)
    assert result == Result(1, "", f"linwin: cannot open {missing}: No such file or directory\n")
    assert daemon.requests == []
    (tmp_path / "box.tar").write_bytes(TAR)
    daemon.on(IMPORT, error(400, "the archive is not a tar archive"))
    result = linwin("import", f"{tmp_path}/box.tar")
    assert result == Result(1, "", "linwin: the archive is not a tar archive\n")
