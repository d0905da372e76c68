"""Progress: bars on a terminal, a line a step elsewhere."""

from __future__ import annotations

import os
import pty
from pathlib import Path
from typing import Any

import pytest

from linwin.cli.progress import Progress
from tests.unit.cli.fake_daemon import Reply
from tests.unit.cli.screen import read_terminal

LINES = [
    {"status": "Starting"},
    {"status": "Unpacking", "id": "abc", "progressDetail": {"current": 500_000, "total": 1_000_000}},
    {"status": "Unpacking", "id": "abc", "progressDetail": {"current": 1_000_000, "total": 1_000_000}},
    {"status": "Done", "id": "abc"},
    {"aux": {"ID": "sha256:12"}},
]


def test_lines_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress() as progress:
        for line in LINES:
            progress.show(line)
    assert capfd.readouterr() == ("", "Starting\nabc: Unpacking\nabc: Done\n")


def test_bars_on_a_terminal(daemon: Any, spawn: Any, tmp_path: Path) -> None:
    (tmp_path / "archive").touch()
    daemon.on("POST /images/load", Reply(lines=[*LINES, {"stream": "Loaded image: foo\n"}]))
    terminal, stderr = pty.openpty()
    process = spawn("load", "-i", str(tmp_path / "archive"), stderr=stderr)
    os.close(stderr)
    with open(terminal, "rb", buffering=0) as screen:
        shown = read_terminal(screen)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"Loaded image: foo\n")
    assert "Starting" in shown
    assert "1.0/1.0 MB" in shown
    assert "aux" not in shown
