"""Files that other programs write to: the kernel tells when one changed (inotify(7))."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path
from types import TracebackType

_IN_MODIFY = 0x2  # written to, or cut
_EVENTS = 4096

_libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """Tells when a file that exists is written to or cut, by whatever name. A context manager.

    A change between two waits ends the second of them at once. Raises OSError where the file is
    not there, or this user watches too many files already.
    """

    def __init__(self, path: Path) -> None:
        self._changed = asyncio.Event()
        self._ended = False
        self._loop = asyncio.get_running_loop()
        self._queue = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), path)
        try:
            _checked(_libc.inotify_add_watch(self._queue, os.fsencode(path), _IN_MODIFY), path)
            self._loop.add_reader(self._queue, self._take)
        except BaseException:
            os.close(self._queue)
            raise

    def end(self, _reason: object = None) -> None:
        """End all waits from now on: there is nothing to wait for any more."""
        self._ended = True
        self._changed.set()

    async def wait(self) -> None:
        """Return once the file has changed since the last wait."""
        await self._changed.wait()
        if not self._ended:
            self._changed.clear()

    def _take(self) -> None:
        os.read(self._queue, _EVENTS)  # which of the changes it was is no matter
        self._changed.set()

    def __enter__(self) -> Changes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.remove_reader(self._queue)
        os.close(self._queue)


def _checked(result: int, path: Path) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return result
