"""A root with a file server of its own, of which nothing is left in the end."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from linwin.paths import Paths
from linwin.shares import SambaShares
from tests.conftest import children, mounts
from tests.unit.shares.client import Client


@pytest.fixture
def paths() -> Iterator[Paths]:
    """A root that users of the server pass through, with a path that Samba's sockets fit into."""
    root = Path(tempfile.mkdtemp(prefix="linwin-shares-"))
    root.chmod(0o711)
    yield Paths(root, root / "socket")
    shutil.rmtree(root)


@pytest.fixture
async def room(paths: Paths) -> AsyncIterator[SambaShares]:
    before = (children().keys(), len(os.listdir("/proc/self/fd")))
    found = SambaShares(paths)
    yield found
    seen = [place for place in mounts() if place.startswith(str(paths.root))]
    await found.purge()
    assert seen == [], "the host sees what only the server is to see"
    assert not paths.shares.exists()
    assert (children().keys(), len(os.listdir("/proc/self/fd"))) == before


@pytest.fixture
def client(paths: Paths) -> Client:
    return Client(*paths.file_server)


@pytest.fixture
def folders(tmp_path: Path) -> Sequence[Path]:
    """Three to be shared, each with a file that is called as it is."""
    made = [tmp_path / name for name in ("first", "second", "third")]
    for folder in made:
        folder.mkdir()
        (folder / folder.name).touch()
    return made
