"""A container's standard streams, shared by every client that attaches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from linwin.engine.interfaces import Process
from linwin.model.container import LogRecord
from linwin.model.guest import StreamName

BUFFER_SIZE = 1 << 20
"""Bytes that may wait for one client; beyond it the container waits, as under docker."""


class Streams:
    """One container's streams: output goes to all attachments, input comes from any of them.

    They outlive a single run: an attachment made before ``start`` receives from
    the first byte on, and its input waits for the process.
    """

    def __init__(self) -> None:
        self._attachments: set[Attachment] = set()
        self._process: asyncio.Future[Process] = asyncio.Future()
        self._hurried = False

    def attach(self, attachment: Attachment) -> None:
        self._attachments.add(attachment)
        if self._hurried:
            attachment.hurry()

    def detach(self, attachment: Attachment) -> None:
        self._attachments.discard(attachment)

    def connect(self, process: Process) -> None:
        """Let waiting and coming input through to ``process``."""
        self._process.set_result(process)

    async def process(self) -> Process:
        """The running process; waits for the container to be started."""
        return await asyncio.shield(self._process)

    async def publish(self, stream: StreamName, data: bytes) -> None:
        """Hand output to every attachment, waiting for the slowest."""
        for attachment in list(self._attachments):
            await attachment.offer(stream, data)

    def hurry(self) -> None:
        """The process has ended. What is left of its output is bounded: hold it, and wait for no client.

        A client that does not read would otherwise keep a killed container from ending.
        """
        self._hurried = True
        for attachment in self._attachments:
            attachment.hurry()

    def end(self) -> None:
        """The run is over (or never will be): end every attachment, and be ready for the next run."""
        for attachment in self._attachments:
            attachment.finish()
        self._attachments.clear()
        self._hurried = False
        if self._process.done():
            self._process = asyncio.Future()


class Attachment:
    """A client's end of a container's streams."""

    def __init__(
        self,
        streams: Streams,
        *,
        history: AsyncIterator[LogRecord] | None,
        stdin: bool,
        half_close: bool,
        wanted: frozenset[StreamName],
    ) -> None:
        self._streams = streams
        self._history = history
        self._stdin = stdin
        self._half_close = half_close
        self._wanted = wanted
        self._pieces: deque[tuple[StreamName, bytes]] = deque()
        self._buffered = 0
        self._hurried = False
        self._ended = False
        self._changed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        """The history, then output until the container's run ends or :meth:`detach` is called."""
        if self._history is not None:
            async for record in self._history:
                yield record.stream, record.data
        while True:
            while self._pieces:
                stream, data = self._pieces.popleft()
                self._buffered -= len(data)
                self._wake()
                yield stream, data
            if self._ended:
                return
            await self._changed.wait()

    async def offer(self, stream: StreamName, data: bytes) -> None:
        """Called by :class:`Streams`; waits while the client is too far behind."""
        if stream not in self._wanted:
            return
        while self._buffered >= BUFFER_SIZE and not (self._hurried or self._ended):
            await self._changed.wait()
        if not self._ended:
            self._pieces.append((stream, data))
            self._buffered += len(data)
            self._wake()

    def hurry(self) -> None:
        """Called by :class:`Streams` when :meth:`offer` must not wait any more."""
        self._hurried = True
        self._wake()

    def finish(self) -> None:
        """Called by :class:`Streams` when no more output will come."""
        self._ended = True
        self._wake()

    async def write(self, data: bytes) -> None:
        """Send to the process's stdin; waits for the start, then for the guest's window."""
        if self._stdin:
            process = await self._streams.process()
            await process.write(data)

    async def close_stdin(self) -> None:
        """The client's input ended; docker passes that on only for a container with StdinOnce."""
        if self._stdin and self._half_close:
            process = await self._streams.process()
            await process.close_stdin()

    async def detach(self) -> None:
        """Stop receiving. Idempotent; the container runs on."""
        self._streams.detach(self)
        self._pieces.clear()
        self._buffered = 0
        self.finish()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
