"""What the tests of Windows templates build from, and where."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.templates.windows import disks, media, setup_media
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


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with which nothing is wrong, but for the drivers that it lacks."""
    return asyncio.run(disks.windows_disk(tmp_path_factory.mktemp("whole")))


@pytest.fixture
def raw(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    media.run("cp", "--sparse=always", whole, tmp_path / "user.raw")
    return tmp_path / "user.raw"


@pytest.fixture(scope="session")
def installed_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The disk that Setup would leave, with which nothing is wrong."""
    folder = tmp_path_factory.mktemp("installed")
    virtio = media.virtio_iso(folder, system="2k22")
    return asyncio.run(setup_media.installed(folder / "left", virtio))
