"""The room on a root of its own, and what is behind addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from linwin.paths import Paths
from linwin.sources import BuildSources


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "root", tmp_path / "socket")


@pytest.fixture
def sources(paths: Paths) -> BuildSources:
    return BuildSources(paths)
