"""Reading a log: all of it, its last lines, a span of time, and what is yet to come.

A reader holds on to file objects, not to names, so that rotation neither makes
it miss a line nor read one twice. Only what lies behind the place where a query
begins is read: ``tail`` looks for that place from the end, ``since`` by halving.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from linwin.model.container import LogQuery, LogRecord
from linwin.model.guest import StreamName
from linwin.state.log_entries import decode
from linwin.state.log_files import LogFile

READ_SIZE = 1 << 20
"""Bytes read in one go, so that a long log never stalls the event loop."""
BACK_SIZE = 64 << 10
"""Bytes read in one go from the end, where few lines are wanted as a rule."""

BREATH = 256
"""Pieces of lines after which others may run: one line may have millions."""
NEWLINE = 0x0A


@dataclass(frozen=True, slots=True)
class Place:
    """Between two entries of a log."""

    file: LogFile
    offset: int


@dataclass(slots=True)
class Growth:
    """What a follower waits for: ``grown`` is replaced each time it is set."""

    live: bool
    grown: asyncio.Event

    def wake(self, *, live: bool) -> None:
        """Tell followers that there is more, or that no more will come."""
        self.live = live
        grown, self.grown = self.grown, asyncio.Event()
        grown.set()


async def read(
    query: LogQuery, files: Sequence[LogFile], end: Place, growth: Growth
) -> AsyncIterator[LogRecord]:
    """What ``query`` selects of ``files`` up to ``end`` and, when following, behind it."""
    place: Place | None = await _beginning(query, files, end)
    while place is not None:
        file = place.file
        opened = await file.open()
        if opened is not None:
            with opened:
                opened.seek(place.offset)
                async for record in _entries(opened, place, query, end, growth):
                    if query.until and record.time_ns > query.until:
                        return
                    if _matches(query, record):
                        yield record
        if file is end.file and not query.follow:
            return
        place = Place(file.newer, 0) if file.newer is not None else None


async def count(place: Place) -> dict[StreamName, int]:
    """How many bytes of each stream are in the entries behind ``place`` in its file."""
    totals: dict[StreamName, int] = {"stdout": 0, "stderr": 0}
    with place.file.path.open("rb") as file:
        file.seek(place.offset)
        async for block in _blocks(file):
            for line in block:
                record = decode(place.file.path, line)
                totals[record.stream] += len(record.data)
    return totals


async def _entries(
    opened: BinaryIO, place: Place, query: LogQuery, end: Place, growth: Growth
) -> AsyncIterator[LogRecord]:
    """Every whole entry behind ``place`` in its file: up to ``end``, or as they come when following."""
    limit = end.offset if place.file is end.file and not query.follow else None
    offset = place.offset
    while True:
        live, grown = growth.live, growth.grown
        async for block in _blocks(opened):
            for line in block:
                if offset == limit:
                    return
                offset += len(line)
                yield decode(place.file.path, line)
        if place.file.newer is not None or not (query.follow and live):
            return
        opened.seek(offset)
        if not await _wait(grown, query.until):
            return


async def _blocks(opened: BinaryIO) -> AsyncIterator[list[bytes]]:
    """Whole lines, some at a time; a last one without a newline is one that a daemon's death left torn."""
    while lines := opened.readlines(READ_SIZE):
        if not lines[-1].endswith(b"\n"):
            lines.pop()
        yield lines
        await asyncio.sleep(0)  # let others run between two blocks


async def _wait(grown: asyncio.Event, until: int) -> bool:
    """Wait for the log to grow; False when the time ``until``, where there is one, comes first."""
    if not until:
        return await grown.wait()
    try:
        async with asyncio.timeout(max(0.0, (until - time.time_ns()) / 1e9)):
            return await grown.wait()
    except TimeoutError:
        return False


def _matches(query: LogQuery, record: LogRecord) -> bool:
    wanted = query.stdout if record.stream == "stdout" else query.stderr
    return wanted and record.time_ns >= query.since


async def _beginning(query: LogQuery, files: Sequence[LogFile], end: Place) -> Place:
    """Where to begin: docker counts the lines of ``tail`` before it looks at streams and times."""
    if query.tail is not None:
        return await _tail(query.tail, files, end)
    if query.since:
        return await _since(query.since, files, end)
    return Place(files[0], 0)


async def _tail(wanted: int, files: Sequence[LogFile], end: Place) -> Place:
    """The place behind which the last ``wanted`` lines are; pieces of one line count as one."""
    place = end
    finished: dict[StreamName, bool] = {"stdout": False, "stderr": False}
    lines = pieces = 0
    for file in reversed(files) if wanted else ():
        opened = await file.open()
        if opened is None:
            break
        with opened:
            size = end.offset if file is end.file else opened.seek(0, 2)
            for offset, line in _backwards(opened, size):
                record = decode(file.path, line)
                if record.data.endswith(b"\n") or not finished[record.stream]:
                    lines += 1
                    if lines > wanted:
                        return place
                finished[record.stream] = True
                place = Place(file, offset)
                pieces += 1
                if not pieces % BREATH:
                    await asyncio.sleep(0)
    return place


def _backwards(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """The whole lines of the first ``size`` bytes and where they begin, the last one first."""
    behind, start = b"", size
    while start:
        before, start = start, max(0, start - BACK_SIZE)
        file.seek(start)
        data = file.read(before - start) + behind
        stop = len(data)
        while (newline := data.rfind(b"\n", 0, stop - 1)) >= 0:
            if data[stop - 1] == NEWLINE:  # else it is one that a daemon's death left torn
                yield start + newline + 1, data[newline + 1 : stop]
            stop = newline + 1
        behind = data[:stop]
    if behind.endswith(b"\n"):
        yield 0, behind


async def _since(since: int, files: Sequence[LogFile], end: Place) -> Place:
    """A place before which everything is older, close to the first entry that is not."""
    for file in files:
        if file is end.file or file.changed_ns >= since:
            opened = await file.open()
            if opened is None:
                continue
            with opened:
                size = end.offset if file is end.file else opened.seek(0, 2)
                return Place(file, _halve(file, opened, size, since))
    return end


def _halve(file: LogFile, opened: BinaryIO, size: int, since: int) -> int:
    low, high = 0, size
    while high - low > BACK_SIZE:
        middle = (low + high) // 2
        opened.seek(middle)
        opened.readline()  # the rest of the line that the middle is in
        start = opened.tell()
        line = opened.readline() if start < high else b""
        if line.endswith(b"\n") and decode(file.path, line).time_ns < since:
            low = start + len(line)
        else:
            high = middle
    return low
