"""Locks exclude others, let waiters in, and are dropped by whoever gives up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from linwin.host.locks import locked, try_lock

_HOLDER = (
    "import sys; from pathlib import Path; from linwin.host.locks import try_lock; "
    "lock = try_lock(Path(sys.argv[1])); print(lock is not None, flush=True); sys.stdin.read()"
)


def test_a_lock_excludes_another_process_until_it_dies(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder, holder.stdin, holder.stdout:
        assert holder.stdout.readline() == b"True\n"
        assert try_lock(tmp_path / "lock") is None
        holder.kill()
        holder.wait()
    lock = try_lock(tmp_path / "lock")
    assert lock is not None
    lock.release()
    lock.release()


async def test_a_waiter_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
    order = []

    async def second() -> None:
        async with locked(tmp_path / "lock"):
            order.append("second")

    async with locked(tmp_path / "lock"):
        task = asyncio.create_task(second())
        await asyncio.sleep(0.05)  # room to do wrong
        order.append("first")
    await asyncio.wait_for(task, 5)
    assert order == ["first", "second"]


async def test_readers_share_and_exclude_a_writer(tmp_path: Path) -> None:
    async with locked(tmp_path / "lock", shared=True), locked(tmp_path / "lock", shared=True):
        assert try_lock(tmp_path / "lock") is None


async def test_a_cancelled_waiter_does_not_keep_the_lock(tmp_path: Path) -> None:
    async def wait() -> None:
        async with locked(tmp_path / "lock"):
            raise AssertionError("the lock was never free")

    async with locked(tmp_path / "lock"):
        task = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with asyncio.timeout(5), locked(tmp_path / "lock"):
        pass
