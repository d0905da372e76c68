"""What the tests of Windows templates build from, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.templates.windows import media
from tests.unit.templates.windows.place import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
async def iso(tmp_path: Path) -> Path:
    return await media.windows_iso(tmp_path)


@pytest.fixture
def virtio(tmp_path: Path) -> Path:
    return media.virtio_iso(tmp_path)
