"""What a daemon that does not come to serve leaves of a root: all that was there, and nothing new."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.daemon import PURGE, held_root, prepare_root
from linwin.paths import Paths

REPOSITORY = Path(__file__).parents[3]


def daemon(folder: Path, *words: str, host: str) -> subprocess.CompletedProcess[str]:
    """Run a daemon of the root in ``folder`` to its end."""
    environment = {"LINWIN_ROOT": str(folder / "root"), "LINWIN_HOST": host, "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, "-m", "linwin.daemon", *words],
        env=os.environ | environment,
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", [(), (PURGE,)], ids=["run", "purge"])
def test_one_that_is_refused_leaves_the_others_uploads(tmp_path: Path, words: tuple[str, ...]) -> None:
    paths = Paths(tmp_path / "root", tmp_path / "s")
    with held_root(paths):
        prepare_root(paths)
        upload = paths.scratch / "upload"
        upload.write_text("half of it")
        done = daemon(tmp_path, *words, host=f"unix://{paths.socket}")
        assert (done.returncode, upload.read_text()) == (1, "half of it")
    assert f"another daemon already serves {paths.root}\n" in done.stderr


def test_a_purge_makes_no_root(tmp_path: Path) -> None:
    done = daemon(tmp_path, PURGE, host=f"unix://{tmp_path}/tcp:/h:1")  # as the client makes it of tcp://
    assert (done.returncode, list(tmp_path.iterdir())) == (0, [])
    assert f"there is no {tmp_path / 'root'}" in done.stderr


def test_a_root_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("somebody's")
    done = daemon(tmp_path, host=f"unix://{tmp_path}/s")
    assert done.returncode == 1
    assert f"linwin: cannot prepare {tmp_path / 'root'}: " in done.stderr
    assert "Traceback" not in done.stderr
