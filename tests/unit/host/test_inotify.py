"""The kernel tells of changes of a file; nobody looks again and again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from linwin.host.inotify import Changes


async def changed(changes: Changes) -> bool:
    """Whether there was a change since the last wait; the kernel tells of one at once."""
    try:
        await asyncio.wait_for(changes.wait(), 0.2)
    except TimeoutError:
        return False
    return True


async def test_writing_and_cutting_are_changes(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb", buffering=0) as file:
        file.write(b"before")
        with Changes(path) as changes:
            assert not await changed(changes)
            file.write(b"more")
            file.write(b"and more")
            assert await changed(changes)
            assert not await changed(changes)
            os.ftruncate(file.fileno(), 0)
            assert await changed(changes)
            path.rename(tmp_path / "elsewhere")
            file.write(b"more")
            assert await changed(changes)


async def test_an_end_ends_all_waits(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with Changes(tmp_path / "log") as changes:
        waiting = asyncio.create_task(changes.wait())
        await asyncio.sleep(0)
        changes.end()
        await asyncio.wait_for(waiting, 5)
        assert await changed(changes)
        assert await changed(changes)


async def test_no_file_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError) as caught:
        Changes(tmp_path / "none")
    assert caught.value.filename == str(tmp_path / "none")
    assert os.listdir("/proc/self/fd") == before
