"""The agent's side of a session, played frame by frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress

from linwin.guest import frames
from linwin.guest.frames import Frame, FrameDecoder, FrameType


class ScriptedAgent:
    """The agent's side of one connection, driven by a test frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._decoder = FrameDecoder()
        self._found: list[Frame] = []

    async def receive(self) -> Frame:
        while not self._found:
            data = await self._reader.read(1 << 16)
            assert data, "the host closed the connection"
            self._found += [frame for frame in self._decoder.feed(data) if isinstance(frame, Frame)]
        return self._found.pop(0)

    async def request(self) -> tuple[int, dict[str, object]]:
        """The next request, with its number; answers nothing."""
        while (frame := await self.receive()).type is not FrameType.REQUEST:
            pass
        return frame.stream, json.loads(frame.payload)

    def send(self, *encoded: bytes) -> None:
        self.writer.write(b"".join(encoded))

    def respond(self, number: int, body: object) -> None:
        self.send(frames.encode(FrameType.RESPONSE, number, json.dumps(body).encode()))

    def say_hello(
        self,
        session: str,
        *,
        version: int = 1,
        boot_id: str = "boot",
        capabilities: Sequence[str] = (),
        kind: str = "",
    ) -> None:
        hello = {"session": session, "version": version, "boot_id": boot_id, "kind": kind, "later": {}}
        hello |= {"capabilities": list(capabilities)}
        self.send(frames.RESYNC, frames.encode(FrameType.HELLO, 0, json.dumps(hello).encode()))

    async def greet(self, *, capabilities: Sequence[str] = (), kind: str = "") -> None:
        """Answer the host's hello, and the ping that makes sure of the session."""
        frame = await self.receive()
        assert frame.type is FrameType.HELLO
        self.say_hello(json.loads(frame.payload)["session"], capabilities=capabilities, kind=kind)
        await self.answer_ping()

    async def answer_ping(self) -> None:
        number, body = await self.request()
        assert body == {"op": "ping"}
        self.respond(number, {"ok": {}})

    async def closed(self) -> None:
        """Wait until the host has closed the connection."""
        with suppress(ConnectionResetError):
            while await self._reader.read(1 << 16):
                pass
