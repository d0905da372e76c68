"""A container's log in docker's json-file form, one JSON object a line.

    {"log":"text of one line\\n","stream":"stdout","time":"2026-01-02T03:04:05.000000006Z"}

Docker's own writer replaces bytes that are not UTF-8; here such a line carries
its exact bytes as well, base64 in ``raw``, so that the log is lossless. A line
that a process printed in pieces is logged in pieces: only the last ends in a
newline, and readers that put the ``log`` texts together see it whole.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from json.encoder import encode_basestring
from pathlib import Path
from typing import BinaryIO

from linwin.errors import Internal, Unavailable
from linwin.model.container import LogQuery, LogRecord
from linwin.model.guest import StreamName

READ_SIZE = 1 << 20
"""Bytes read in one go, so that a long log never stalls the event loop."""


class JsonFileLog:
    """Implements :class:`linwin.engine.interfaces.ContainerLog`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._grown = asyncio.Event()

    @property
    def size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    async def begin(self) -> None:
        await self.finish()
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            os.truncate(self._path, self._end_of_whole_lines())
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise Unavailable(
                f"cannot open the log {self._path}: {error.strerror}",
                hint="Check the disk that holds LINWIN_ROOT.",
            ) from error

    async def append(self, stream: StreamName, data: bytes) -> None:
        if self._file is None:
            raise Internal(f"the log {self._path} was written to before it was begun")
        tail = f',"stream":"{stream}","time":"{_stamp(time.time_ns())}"'
        lines = b"".join(_encode(line, tail) for line in _split(data))
        try:
            _write_all(self._file, lines)
        except OSError as error:
            raise Unavailable(
                f"cannot write the log {self._path}: {error.strerror}", hint="Free some space on its disk."
            ) from error
        self._wake()

    async def finish(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._wake()

    async def lengths(self, offset: int) -> dict[StreamName, int]:
        totals: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
        async for _, record in self._walk(offset):
            totals[record.stream] += len(record.data)
        return totals

    async def read(self, query: LogQuery, end: int | None = None) -> AsyncIterator[LogRecord]:
        offset = 0
        if query.tail is not None:
            last: deque[LogRecord] = deque(maxlen=query.tail)
            async for behind, record in self._walk(0, self.size if end is None else end):
                offset = behind
                if _matches(query, record):
                    last.append(record)
            for record in last:
                yield record
        while True:
            grown, live = self._grown, self._file is not None
            async for behind, record in self._walk(offset, end):
                offset = behind
                if query.until and record.time_ns > query.until:
                    return
                if _matches(query, record):
                    yield record
            if not (query.follow and live):
                return
            await grown.wait()

    async def _walk(self, offset: int, limit: int | None = None) -> AsyncIterator[tuple[int, LogRecord]]:
        """Every whole line from ``offset`` to ``limit``, each with the offset just behind itself."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(offset)
            while lines := file.readlines(READ_SIZE):
                for line in lines:
                    if not line.endswith(b"\n") or offset == limit:
                        return
                    offset += len(line)
                    yield offset, _decode(self._path, line)
                await asyncio.sleep(0)  # let others run between two blocks

    def _end_of_whole_lines(self) -> int:
        with self._path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            while end:
                start = max(0, end - READ_SIZE)
                file.seek(start)
                newline = file.read(end - start).rfind(b"\n")
                if newline >= 0:
                    return start + newline + 1
                end = start
        return 0

    def _wake(self) -> None:
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


def _split(data: bytes) -> list[bytes]:
    *whole, rest = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])


def _stamp(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def _encode(line: bytes, tail: str) -> bytes:
    """One entry; written by hand because json.dumps of a dict costs five times as much a line."""
    try:
        return f'{{"log":{encode_basestring(line.decode())}{tail}}}\n'.encode()
    except UnicodeDecodeError:
        text = encode_basestring(line.decode(errors="replace"))
        raw = base64.b64encode(line).decode("ascii")
        return f'{{"log":{text}{tail},"raw":"{raw}"}}\n'.encode()


def _decode(path: Path, line: bytes) -> LogRecord:
    try:
        entry = json.loads(line)
        data = base64.b64decode(entry["raw"]) if "raw" in entry else entry["log"].encode()
        whole, _, fraction = entry["time"].removesuffix("Z").partition(".")
        seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        return LogRecord(entry["stream"], seconds * 1_000_000_000 + int(fraction.ljust(9, "0")), data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Internal(f"the log {path} holds a line that is not ours: {line[:80]!r}") from error


def _matches(query: LogQuery, record: LogRecord) -> bool:
    wanted = query.stdout if record.stream == "stdout" else query.stderr
    early = query.since and record.time_ns < query.since
    late = query.until and record.time_ns > query.until
    return wanted and not early and not late


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
