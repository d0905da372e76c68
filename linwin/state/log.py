"""A container's log: written, rotated, and resumed by the next daemon.

:mod:`log_entries` says what a line looks like, :mod:`log_files` how files take
turns, :mod:`log_position` how it is known after a crash what is logged, and
:mod:`log_reader` how it is read.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO

from linwin.errors import Internal, Unavailable, Unsupported
from linwin.model.container import LogQuery, LogRecord
from linwin.model.guest import StreamName
from linwin.model.log_config import Rotation
from linwin.state import log_reader
from linwin.state.log_entries import attributes_text, encode, split, tail_of
from linwin.state.log_files import LogFiles
from linwin.state.log_position import Position, PositionFile
from linwin.state.log_reader import Growth, Place

MARK_EVERY = 16 << 20
"""Bytes of the log after which its position is noted: what a new daemon has to read at most."""
POSITION_SUFFIX = ".position"


class JsonFileLog:
    """Implements :class:`linwin.engine.interfaces.ContainerLog` with files in docker's json-file form."""

    def __init__(
        self, path: Path, rotation: Rotation | None = None, attributes: Mapping[str, str] | None = None
    ) -> None:
        """``attributes`` go into every entry, for ``logs --details``."""
        self._path = path
        self._rotation = rotation or Rotation()
        self._attributes = attributes_text(attributes or {})
        self._files = LogFiles(path, self._rotation)
        self._position = PositionFile(path.with_name(path.name + POSITION_SUFFIX))
        self._file: BinaryIO | None = None
        self._start = 0
        self._size = 0  # of the current file
        self._marked = 0  # its size when the position was noted last
        self._counts: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        self._growth = Growth(live=False, grown=asyncio.Event())

    async def begin(self, start: int) -> dict[StreamName, int]:
        await self.finish()
        try:
            position = self._position.read()
            self._files.recover(position.inode if position else 0)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._size = self._end_of_whole_lines()
            os.truncate(self._path, self._size)
            self._start, self._counts = start, await self._logged(start, position)
            self._file = self._path.open("ab", buffering=0)
            self._mark()
        except OSError as error:
            raise Unavailable(
                f"cannot open the log {self._path}: {error.strerror}",
                hint="Check the disk that holds LINWIN_ROOT.",
            ) from error
        self._files.compress()
        self._growth.wake(live=True)
        return dict(self._counts)

    async def append(self, stream: StreamName, data: bytes) -> None:
        if self._file is None:
            raise Internal(f"the log {self._path} was written to before it was begun")
        tail = tail_of(stream, time.time_ns(), self._attributes)
        behind = self._counts[stream] + len(data)
        try:
            self._write(stream, split(data), tail)
        except OSError as error:
            # The guest keeps its output no longer, whether it was logged or not.
            self._counts[stream] = behind
            self._note_what_was_lost()
            raise Unavailable(
                f"cannot write the log {self._path}: {error.strerror}", hint="Free some space on its disk."
            ) from error
        self._growth.wake(live=True)

    async def finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._position.close()
        self._growth.wake(live=False)
        await self._files.settled()

    def read(self, query: LogQuery) -> AsyncIterator[LogRecord]:
        files = self._files.all
        size = self._size if self._file is not None else files[-1].size
        return log_reader.read(query, files, Place(files[-1], size), self._growth)

    async def _logged(self, start: int, position: Position | None) -> dict[StreamName, int]:
        """How many bytes of each stream of start number ``start`` the log holds."""
        if position is None or position.start != start:
            return {"stdout": 0, "stderr": 0}
        totals: dict[StreamName, int] = {"stdout": position.stdout, "stderr": position.stderr}
        if position.inode == os.stat(self._path).st_ino:
            behind = await log_reader.count(Place(self._files.current, position.offset))
            for stream, length in behind.items():
                totals[stream] += length
        return totals

    def _write(self, stream: StreamName, lines: list[bytes], tail: str) -> None:
        """Write each line to the file whose turn it is. Raises OSError."""
        limit, waiting = self._rotation.max_size, bytearray()
        for line in lines:
            if limit and self._size + len(waiting) >= limit:
                self._flush(waiting)
                self._rotate()
            waiting += encode(line, tail)
            self._counts[stream] += len(line)
        self._flush(waiting)
        if self._size - self._marked >= MARK_EVERY:
            self._mark()

    def _flush(self, waiting: bytearray) -> None:
        if waiting and self._file is not None:
            _write_all(self._file, bytes(waiting))
            self._size += len(waiting)
            waiting.clear()

    def _rotate(self) -> None:
        fresh = self._files.rotate(lambda inode: self._position.write(self._at(inode, 0)))
        if self._file is not None:
            self._file.close()
        self._file, self._size, self._marked = fresh, 0, 0
        self._growth.wake(live=True)

    def _mark(self) -> None:
        """Note the position. Raises OSError."""
        assert self._file is not None
        self._position.write(self._at(os.fstat(self._file.fileno()).st_ino, self._size))
        self._marked = self._size

    def _at(self, inode: int, offset: int) -> Position:
        return Position(self._start, inode, offset, self._counts["stdout"], self._counts["stderr"])

    def _note_what_was_lost(self) -> None:
        try:
            self._mark()
        except OSError as error:
            raise Unavailable(
                f"cannot write the position of the log {self._path}: {error.strerror}",
                hint="Free some space on its disk.",
            ) from error

    def _end_of_whole_lines(self) -> int:
        with self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while end:
                start = max(0, end - log_reader.READ_SIZE)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                if newline >= 0:
                    return start + newline + 1
                end = start
        return 0


class NoLog:
    """Implements :class:`linwin.engine.interfaces.ContainerLog` for docker's driver ``none``.

    Nothing is kept but how much there was: a new daemon must tell the guest
    from where to go on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = PositionFile(path.with_name(path.name + POSITION_SUFFIX))
        self._start = 0
        self._counts: dict[StreamName, int] = {"stdout": 0, "stderr": 0}

    async def begin(self, start: int) -> dict[StreamName, int]:
        try:
            position = self._position.read()
            if position is None or position.start != start:
                position = Position(start, 0, 0, 0, 0)
            self._start = start
            self._counts = {"stdout": position.stdout, "stderr": position.stderr}
            self._note()
        except OSError as error:
            raise Unavailable(
                f"cannot open {self._path}: {error.strerror}", hint="Check the disk that holds LINWIN_ROOT."
            ) from error
        return dict(self._counts)

    async def append(self, stream: StreamName, data: bytes) -> None:
        self._counts[stream] += len(data)
        try:
            self._note()
        except OSError as error:
            raise Unavailable(
                f"cannot note how far the output of {self._path.parent.name} came: {error.strerror}",
                hint="Free some space on the disk of LINWIN_ROOT.",
            ) from error

    async def finish(self) -> None:
        self._position.close()

    def read(self, query: LogQuery) -> AsyncIterator[LogRecord]:
        raise Unsupported("configured logging driver does not support reading")

    def _note(self) -> None:
        self._position.write(Position(self._start, 0, 0, self._counts["stdout"], self._counts["stderr"]))


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Append all of ``data`` or nothing: half a line would spoil the next, and with it the whole log."""
    before = os.fstat(file.fileno()).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise
