"""A virtio-serial port whose host never goes: hosts come and go on a socket before it.

A Windows guest does not see its host go, and Wine stops to look at a device that
hung up once, for good if the next host is there at once. So the port's other side
is held by one connection for the machine's whole life, as the protocol allows for:
a host that takes over says the run and its hello.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 16


class _Steady:
    """Runs on a loop of its own, since each test has another."""

    def __init__(self, port: Path, path: Path) -> None:
        self._port, self._path = port, path
        self._host: asyncio.StreamWriter | None = None
        self._loop = asyncio.new_event_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.ready = threading.Event()

    def run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set_result, None)

    async def _serve(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self._port)
        server = await asyncio.start_unix_server(self._accept, self._path)
        printed = asyncio.create_task(self._carry(reader))
        self.ready.set()
        await self._over
        server.close()
        printed.cancel()
        await asyncio.gather(printed, return_exceptions=True)
        self._writer.close()

    async def _carry(self, reader: asyncio.StreamReader) -> None:
        """The agent's bytes go to the host of the moment, or to nobody."""
        while data := await reader.read(CHUNK):
            host = self._host
            if host is None:
                continue
            try:
                host.write(data)
                await host.drain()
            except ConnectionError:
                self._host = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host = writer
        try:
            while data := await reader.read(CHUNK):
                self._writer.write(data)
                await self._writer.drain()
        except ConnectionError:
            pass  # a host that breaks off is part of the tests
        finally:
            if self._host is writer:
                self._host = None
            writer.close()


@contextmanager
def steady(port: Path, path: Path) -> Iterator[None]:
    """Hold the port's other side, and serve its hosts at ``path``, one at a time."""
    held = _Steady(port, path)
    thread = threading.Thread(target=held.run, name="steady host")
    thread.start()
    held.ready.wait()
    try:
        yield
    finally:
        held.stop()
        thread.join()
