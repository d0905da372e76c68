"""A blob on its way: read by a thread, never longer and never shorter than its manifest says."""

from __future__ import annotations

import fcntl
import os
import select
from contextlib import suppress
from types import TracebackType

from linwin.errors import InvalidRequest
from linwin.images.compression import Reader
from linwin.images.registry.failures import Cut
from linwin.images.registry.skopeo import silent

_CHUNK = 1 << 20


class PipeReader:
    """Reads a pipe; a context that closes it.

    Raises Unavailable when nothing comes for ``idle`` seconds.
    """

    def __init__(self, fd: int, registry: str, idle: float) -> None:
        self._fd = fd
        self._registry = registry
        self._idle = idle
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        with suppress(PermissionError):  # a matter of speed, and of what this host allows
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _CHUNK)

    def __enter__(self) -> PipeReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, size: int, /) -> bytes:
        if not self._poll.poll(self._idle * 1000):
            raise silent(self._registry, self._idle)
        return os.read(self._fd, size)


class WholeReader:
    """Holds a source to the size that was promised: raises Cut for less, InvalidRequest for more."""

    def __init__(self, source: Reader, size: int, what: str) -> None:
        self._source = source
        self._size = size
        self._what = what
        self._received = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._received += len(data)
        if self._received > self._size:
            raise InvalidRequest(
                f"{self._what} is corrupt: it is longer than the {self._size} bytes that its manifest says"
            )
        if not data and self._received < self._size:
            raise Cut(f"{self._received} of {self._size} bytes came")
        return data


def read_all(reader: Reader) -> bytes:
    return b"".join(iter(lambda: reader.read(_CHUNK), b""))
