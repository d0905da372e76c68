"""The host's ends of a process's streams: offsets, credit, backpressure."""

from __future__ import annotations

import asyncio
from collections import deque

from linwin.errors import LinwinError
from linwin.guest import frames
from linwin.guest.messages import Malformed
from linwin.guest.session import Session
from linwin.model.guest import Chunk, StreamName

WINDOW = 1 << 20
"""Bytes of unacknowledged output that one stream may send."""
ACKNOWLEDGE_EVERY = WINDOW // 4
STDIN_PIECE = 32 << 10
MERGED = 4 << 10
"""Bytes up to which small chunks become one, so that a window of single bytes is no million chunks."""


class Output:
    """Both output streams of one process, in the order in which they arrive."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self._arrived = asyncio.Event()
        self._open = 0
        self._error: LinwinError | None = None

    def opened(self) -> None:
        self._open += 1

    def add(self, chunk: Chunk) -> None:
        last = self._chunks[-1] if self._chunks else None
        if last and last.stream == chunk.stream and len(last.data) + len(chunk.data) <= MERGED:
            self._chunks[-1] = Chunk(chunk.stream, last.data + chunk.data, chunk.end)
        else:
            self._chunks.append(chunk)
        self._arrived.set()

    def ended(self) -> None:
        self._open -= 1
        self._arrived.set()

    def lost(self, error: LinwinError) -> None:
        self._error = error
        self._arrived.set()

    async def next(self) -> Chunk | None:
        """The next chunk, or None when all streams have ended. Raises the session's error."""
        while not self._chunks:
            if self._open == 0:
                return None
            if self._error is not None:
                raise self._error
            self._arrived.clear()
            await self._arrived.wait()
        # A flood, each chunk of which is dealt with at once, must keep nobody waiting.
        await asyncio.sleep(0)
        return self._chunks.popleft()


class OutputStream:
    """Receives one of the two streams. ``offset`` is where it goes on."""

    def __init__(self, session: Session, name: StreamName, output: Output, offset: int) -> None:
        self._session = session
        self._name = name
        self._output = output
        self._received = self._acked = self._announced = offset
        self._ended = False
        self.number = session.open_stream(self)
        output.opened()

    def data(self, offset: int, data: bytes) -> None:
        if self._ended or offset != self._received:
            raise Malformed(f"{self._name} at offset {offset}, expected {self._received}")
        if offset + len(data) > self._announced + WINDOW:
            raise Malformed(f"{self._name} beyond its window")
        self._received += len(data)
        self._output.add(Chunk(self._name, data, self._received))

    def end(self, length: int) -> None:
        if self._ended or length != self._received:
            raise Malformed(f"{self._name} ends at offset {length}, expected {self._received}")
        self._ended = True
        self._session.close_stream(self.number)
        self._output.ended()
        self._announce()

    def credit(self, acked: int, window: int) -> None:
        raise Malformed(f"credit for {self._name}, which only the host may give")

    def lost(self, error: LinwinError) -> None:
        self._output.lost(error)

    def acknowledge(self, end: int) -> None:
        """Note that all before the offset ``end`` is on disk, and tell the guest in time."""
        self._acked = max(self._acked, min(end, self._received))
        self._announce()

    def _announce(self) -> None:
        news = self._acked - self._announced
        if news >= ACKNOWLEDGE_EVERY or (news and self._ended and self._acked == self._received):
            self._announced = self._acked
            self._session.send(frames.encode_credit(self.number, self._acked, WINDOW))


class InputStream:
    """Sends stdin, as far as the guest's credit goes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._sent = 0
        self._acked = 0
        self._limit = 0
        self._closed = False
        self._change = asyncio.Event()
        self._order = asyncio.Lock()
        self.number = session.open_stream(self)

    def resume(self, offset: int) -> None:
        """Go on at ``offset``, which an earlier session reached."""
        self._sent = offset

    def data(self, offset: int, data: bytes) -> None:
        raise Malformed("data on stdin, which only the host may send")

    def end(self, length: int) -> None:
        raise Malformed("an end of stdin, which only the host may send")

    def credit(self, acked: int, window: int) -> None:
        if acked <= self._acked and acked + window <= self._limit:
            self._session.count_idle()
        self._acked = max(self._acked, acked)
        self._limit = max(self._limit, acked + window)
        self._change.set()

    def lost(self, error: LinwinError) -> None:
        self.stop()

    def stop(self) -> None:
        """The process has ended: drop what is still to be sent."""
        self._closed = True
        self._session.close_stream(self.number)
        self._change.set()

    async def write(self, data: bytes) -> None:
        """Send ``data``; returns when all of it is on its way, or nobody reads any more."""
        async with self._order:
            view = memoryview(data)
            while view and not self._closed:
                room = min(self._limit - self._sent, STDIN_PIECE)
                if room <= 0:
                    self._change.clear()
                    await self._change.wait()
                    continue
                piece = view[:room]
                self._session.send(frames.encode_data(self.number, self._sent, bytes(piece)))
                self._sent += len(piece)
                view = view[len(piece) :]
                await self._session.drained()

    async def close(self) -> None:
        async with self._order:
            if not self._closed:
                self._closed = True
                self._session.send(frames.encode_eof(self.number, self._sent))
