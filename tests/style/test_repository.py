"""Habits of this repository that no linter knows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
TRACKED = [
    REPOSITORY / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    if (REPOSITORY / name).is_file()
]  # fmt: skip
SOURCES = [path for path in TRACKED if path.suffix in (".py", ".go", ".c", ".h")]
LONGEST = 460
"""Lines of the longest file that a reader should have to meet."""


def test_files_are_of_a_readable_length() -> None:
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in SOURCES
        if (lines := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_modules_are_named_for_what_they_hold() -> None:
    assert [path for path in SOURCES if path.stem in ("util", "utils", "helpers", "common", "misc")] == []


@pytest.mark.parametrize("room", sorted(p.name for p in (REPOSITORY / "linwin").iterdir() if p.is_dir()))
def test_every_module_says_what_it_is(room: str) -> None:
    modules = [path for path in (REPOSITORY / "linwin" / room).glob("*.py") if path.read_text().strip()]
    assert [path.name for path in modules if not path.read_text().startswith('"""')] == []


def test_no_room_sleeps_where_an_event_exists() -> None:
    """``asyncio.sleep(0)`` only yields to others; any other sleep is a poll.

    One is allowed: no event tells that a guest's console log has grown.
    """
    allowed = REPOSITORY / "linwin/machine/running.py"
    sleeping = re.compile(r"(time|asyncio)\.sleep\((?!0\))")
    product = [path for path in SOURCES if path.is_relative_to(REPOSITORY / "linwin") and path != allowed]
    assert [str(path) for path in product if sleeping.search(path.read_text())] == []


def test_every_error_kind_has_a_status() -> None:
    from linwin import errors
    from linwin.api.status import status_of

    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    ]
    assert {status_of(kind("x")) for kind in kinds} >= {400, 403, 404, 409, 500, 501, 503}
