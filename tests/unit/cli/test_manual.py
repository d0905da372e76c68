"""Manual pages: every command has one, and a formatter takes it without complaint."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from linwin.cli.manual import main, pages


def test_every_command_has_a_page() -> None:
    names = [name for name, _ in pages()]
    assert len(names) == len(set(names))
    assert {"linwin.1", "linwin-run.1", "linwin-container-prune.1", "linwin-system-dial-stdio.1"} <= set(
        names
    )


def test_a_page() -> None:
    page = dict(pages())["linwin-wait.1"]
    assert page.startswith('.TH "LINWIN-WAIT" 1 "" "linwin ')
    assert ".SH NAME\nlinwin-wait \\- " in page
    assert ".SH SYNOPSIS\n.B linwin wait\n[OPTIONS] CONTAINER [CONTAINER...]" in page
    assert page.endswith(".SH SEE ALSO\n.BR linwin (1)\n")


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_reads_them(tmp_path: Path) -> None:
    main(tmp_path)
    for page in sorted(tmp_path.iterdir()):
        run = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True, check=True
        )
        assert run.stderr == "", page.name
