"""Fixtures of the image room's tests: a store under a root of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from linwin.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "root", tmp_path / "socket")


@pytest.fixture
def nothing_stored(paths: Paths) -> Callable[[], None]:
    """Asserts that the root holds no blob, no record and no unfinished file."""

    def check() -> None:
        files = [path for path in paths.root.rglob("*") if path.is_file() and path != paths.image_index]
        assert files == []

    return check
