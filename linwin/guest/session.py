"""One session with one agent: frames on a connection, requests, heartbeats.

A session ends once, with a sentence, and everything that waits on it then gets
that sentence as Unavailable. Whatever a hostile guest sends ends at most its own
session: what it can make this side hold is bounded by the windows granted here.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from linwin.errors import InvalidRequest, LinwinError, Unavailable
from linwin.guest import frames
from linwin.guest.frames import Frame, FrameDecoder, FrameType, Torn
from linwin.guest.messages import Failure, Hello, Malformed, parse_hello, parse_response

QUIET = 10.0
"""Seconds without a byte from the guest after which it is asked for a sign of life."""
DEAD = 60.0
"""Seconds without a byte after which the session is given up: TCG guests stall for long."""
MAX_UNSENT = 8 << 20
"""Bytes that may wait for a guest that does not read."""
READ_SIZE = 64 << 10
"""Bytes taken in one go: the smallest frames in them keep all else waiting for some 20 ms."""
MOST_IDLE = 10_000
"""Frames that carry nothing which a guest may send in QUIET seconds; an honest one sends a few."""

ASK_AGAIN = "start the container again; its console log may say more"


class Receiver(Protocol):
    """A stream's end on this side. Its methods raise Malformed for a breach of the protocol."""

    def data(self, offset: int, data: bytes) -> None: ...
    def end(self, length: int) -> None: ...
    def credit(self, acked: int, window: int) -> None: ...
    def lost(self, error: LinwinError) -> None:
        """The session has ended; nothing more arrives."""


class Session:
    """A session that said hello. Made by :func:`linwin.guest.agents.open_session`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        decoder: FrameDecoder,
        hello: Hello,
        early: Sequence[Frame | Torn] = (),
    ) -> None:
        """``early`` is what arrived together with the hello, behind it."""
        self.hello = hello
        self._reader = reader
        self._writer = writer
        self._decoder = decoder
        self._requests: dict[int, asyncio.Future[Mapping[str, Any] | Failure]] = {}
        self._request_numbers = itertools.count(1)
        self._stream_numbers = itertools.count(1)
        self._receivers: dict[int, Receiver] = {}
        self.resting = False
        """Whether the guest is halted: its silence means nothing then."""
        self._failure: str | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._idle = 0
        """Frames that carried nothing since the last heartbeat."""
        self._heartbeat = self._loop.call_later(QUIET, self._beat)
        self._reading = asyncio.create_task(self._read(early), name="guest session")

    def breach(self, error: Malformed) -> Unavailable:
        """End the session for a breach of the protocol; return what its users are told."""
        self.fail(f"the guest's agent broke the protocol: {error}")
        return Unavailable(str(self._failure), hint=ASK_AGAIN)

    @property
    def failure(self) -> Unavailable | None:
        """Why the session ended, or None while it lasts."""
        return Unavailable(self._failure, hint=ASK_AGAIN) if self._failure is not None else None

    def open_stream(self, receiver: Receiver) -> int:
        """Number a new stream, whose frames go to ``receiver``."""
        stream = next(self._stream_numbers)
        self._receivers[stream] = receiver
        return stream

    def close_stream(self, stream: int) -> None:
        """Forget a stream on which nothing more may arrive."""
        self._receivers.pop(stream, None)

    def send(self, encoded: bytes) -> None:
        """Send encoded frames, unless the session has ended."""
        if self._failure is not None:
            return
        self._writer.write(encoded)
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self.fail("the guest's agent stopped reading")

    async def drained(self) -> None:
        """Wait until little is left to send. Raises Unavailable when the session has ended."""
        try:
            await self._writer.drain()
        except OSError as error:
            self.fail(f"the connection to the guest broke: {error.strerror}")
        if failure := self.failure:
            raise failure

    async def request(self, op: str, *, timeout: float | None, **fields: Any) -> Mapping[str, Any] | Failure:
        """Send a request and wait for its answer.

        Raises Unavailable when the session ends first or no answer comes in
        ``timeout`` seconds (None: as long as the session lasts), InvalidRequest
        for a request that is longer than the guest takes.
        """
        future = self.start_request(op, **fields)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError as error:
            raise Unavailable(
                f"the guest did not answer {op} within {timeout:g} s", hint=ASK_AGAIN
            ) from error

    def start_request(self, op: str, **fields: Any) -> asyncio.Future[Mapping[str, Any] | Failure]:
        """Send a request; the future is its answer."""
        if failure := self.failure:
            raise failure
        payload = json.dumps({"op": op, **fields}).encode()
        if len(payload) > self.hello.max_request:
            raise InvalidRequest(
                f"the {op} request is {len(payload)} bytes long, a guest takes {self.hello.max_request}",
                hint="shorten the command line and the environment",
            )
        number = next(self._request_numbers)
        future: asyncio.Future[Mapping[str, Any] | Failure] = self._loop.create_future()
        self._requests[number] = future
        future.add_done_callback(lambda _: self._requests.pop(number, None))
        self.send(frames.encode_request(number, payload))
        return future

    def fail(self, sentence: str) -> None:
        """End the session for the reason that ``sentence`` gives. Only the first reason counts."""
        if self._failure is not None:
            return
        self._failure = sentence
        self._heartbeat.cancel()
        self._reading.cancel()
        self._writer.transport.abort()
        error = Unavailable(sentence, hint=ASK_AGAIN)
        for future in list(self._requests.values()):
            if not future.done():
                future.set_exception(error)
                future.exception()  # a request that nobody awaits is no mistake
        for receiver in list(self._receivers.values()):
            receiver.lost(error)
        self._receivers.clear()

    async def close(self) -> None:
        """End the session on purpose and let go of the connection. Idempotent."""
        self.fail("the session with the guest was closed")
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, found: Sequence[Frame | Torn]) -> None:
        try:
            self._take_all(found)
            while data := await self._reader.read(READ_SIZE):
                self._heard = self._loop.time()
                self._take_all(self._decoder.feed(data))
            self.fail("the guest closed the connection")
        except ConnectionResetError:
            self.fail("the guest closed the connection")
        except OSError as error:
            self.fail(f"the connection to the guest broke: {error.strerror}")
        except Malformed as error:
            self.breach(error)

    def _take_all(self, found: Sequence[Frame | Torn]) -> None:
        for one in found:
            if self._failure is not None:
                return
            self._take(one)

    def _take(self, found: Frame | Torn) -> None:
        if isinstance(found, Torn):
            raise Malformed(f"torn frame ({found.value})")
        match found.type:
            case FrameType.RESPONSE:
                self._answer(found)
            case FrameType.DATA:
                self._receiver(found).data(*frames.split_data(found.payload))
            case FrameType.EOF:
                self._receiver(found).end(frames.stream_length(found.payload))
            case FrameType.CREDIT:
                # Credit for a stdin that is done with crosses its end on the way.
                if receiver := self._receivers.get(found.stream):
                    receiver.credit(*frames.split_credit(found.payload))
                else:
                    self.count_idle()
            case FrameType.PING:
                self.count_idle()
                self.send(frames.encode(FrameType.PONG, 0, found.payload))
            case FrameType.PONG | FrameType.EVENT:
                self.count_idle()
            case FrameType.HELLO:
                self.count_idle()
                self._hello_again(found)
            case FrameType.REQUEST | FrameType.PART:
                raise Malformed("a request, which only the host may send")

    def _answer(self, frame: Frame) -> None:
        future = self._requests.get(frame.stream)
        if future is None or future.done():
            self.count_idle()
            return  # given up meanwhile
        future.set_result(parse_response(frame.payload))

    def count_idle(self) -> None:
        """Note a frame that carried nothing. Raises Malformed where there were too many of late."""
        self._idle += 1
        if self._idle > MOST_IDLE:
            raise Malformed(f"more than {MOST_IDLE} frames in {QUIET:g} s that carry nothing")

    def _receiver(self, frame: Frame) -> Receiver:
        receiver = self._receivers.get(frame.stream)
        if receiver is None:
            raise Malformed(f"stream {frame.stream} is not open")
        return receiver

    def _hello_again(self, frame: Frame) -> None:
        """A second echo answers a repeated hello; any other says that the agent lost the session."""
        hello = parse_hello(frame.payload)
        if hello.session == self.hello.session:
            return
        restarted = hello.boot_id != self.hello.boot_id
        self.fail("the guest's agent started anew" if restarted else "the guest's agent dropped the session")

    def _beat(self) -> None:
        self._idle = 0
        if self.resting:
            self._heard = self._loop.time()
        silence = self._loop.time() - self._heard
        if silence >= DEAD:
            self.fail(f"the guest gave no sign of life for {DEAD:g} s")
            return
        if silence >= QUIET:
            self.send(frames.encode(FrameType.PING, 0, bytes(frames.ECHO_SIZE)))
        self._heartbeat = self._loop.call_later(QUIET, self._beat)
