"""Locks between processes: flock(2) on a file, awaited without stalling the loop.

The kernel drops a lock with the process that holds it, so no crash leaves one
behind. The files stay; deleting one would let two owners lock two files of one name.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class FileLock:
    """A lock that is held until it is released or its process ends."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        """Let others have it. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def try_lock(path: Path, *, shared: bool = False) -> FileLock | None:
    """Take the lock now, or return None when another holds it. Raises OSError."""
    fd = _open(path)
    try:
        fcntl.flock(fd, _operation(shared) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return FileLock(fd)


@asynccontextmanager
async def locked(path: Path, *, shared: bool = False) -> AsyncIterator[None]:
    """Hold the lock for as long as the context lasts; wait for it first. Raises OSError."""
    lock = try_lock(path, shared=shared) or await _wait_for(path, shared)
    try:
        yield
    finally:
        lock.release()


async def _wait_for(path: Path, shared: bool) -> FileLock:
    """Wait in a thread of its own: flock cannot be polled, and a pool could be exhausted by waiters."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[FileLock] = loop.create_future()
    fd = _open(path)

    def deliver(error: OSError | None) -> None:
        if error is None and not taken.done():
            taken.set_result(FileLock(fd))
            return
        os.close(fd)  # nobody waits any more, or there is nothing to have
        if error is not None and not taken.done():
            taken.set_exception(error)

    def work() -> None:
        error = None
        try:
            fcntl.flock(fd, _operation(shared))
        except OSError as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(deliver, error)
        except RuntimeError:  # the loop ended while we waited
            os.close(fd)

    # A daemon thread, so that an abandoned wait does not keep the interpreter from ending.
    threading.Thread(target=work, name=f"lock {path.name}", daemon=True).start()
    return await taken


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _operation(shared: bool) -> int:
    return fcntl.LOCK_SH if shared else fcntl.LOCK_EX
