"""How bytes on the agent's port become frames, and back. No I/O.

``protocol/README.md`` is the specification and ``protocol/vectors`` its
examples, which this module and the agent's package ``frame`` both replay.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum, IntEnum

HEADER = struct.Struct(">BBII")
OFFSET = struct.Struct(">Q")
CREDIT = struct.Struct(">QI")
ECHO_SIZE = 8

MAX_FRAME = 64 << 10
"""The longest whole frame in bytes: a vioserial port refuses longer writes."""
MAX_PAYLOAD = MAX_FRAME - HEADER.size - 1
MAX_DATA = MAX_PAYLOAD - OFFSET.size
"""The longest run of stream bytes in one DATA frame."""

END = 0x7E
SENTINEL = 0xFF
RUN_LENGTH = 64 << 10
"""Sentinel bytes before a HELLO: they complete the longest pending frame and leave MIN_RUN."""
MIN_RUN = 8
RESYNC = bytes([SENTINEL]) * RUN_LENGTH


class FrameType(IntEnum):
    """The frame types of version 1."""

    HELLO = 1
    REQUEST = 2
    RESPONSE = 3
    EVENT = 4
    DATA = 5
    EOF = 6
    CREDIT = 7
    PING = 8
    PONG = 9
    PART = 10


class Torn(Enum):
    """Why bytes were dropped."""

    HEADER = "header"
    """A header that no frame has."""
    END = "end"
    """The byte behind the payload was not END."""
    SENTINEL = "sentinel"
    """A run of SENTINEL shorter than MIN_RUN."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; ``stream`` is the request's number in REQUEST, PART and RESPONSE."""

    type: FrameType
    stream: int
    payload: bytes


def encode(type: FrameType, stream: int, payload: bytes = b"") -> bytes:
    """Encode one frame. Raises ValueError for a payload longer than MAX_PAYLOAD."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a frame carries at most {MAX_PAYLOAD} bytes, not {len(payload)}")
    return b"%b%b%c" % (HEADER.pack(type, 0, stream, len(payload)), payload, END)


def encode_request(number: int, payload: bytes) -> bytes:
    """Encode a request, in parts where it is longer than one frame."""
    pieces = [payload[at : at + MAX_PAYLOAD] for at in range(0, len(payload), MAX_PAYLOAD)]
    *parts, last = pieces or [b""]
    return b"".join(encode(FrameType.PART, number, part) for part in parts) + encode(
        FrameType.REQUEST, number, last
    )


def encode_data(stream: int, offset: int, data: bytes) -> bytes:
    """Encode stream bytes of which the first is at ``offset``."""
    return encode(FrameType.DATA, stream, OFFSET.pack(offset) + data)


def encode_eof(stream: int, length: int) -> bytes:
    """Encode the end of a stream that is ``length`` bytes long."""
    return encode(FrameType.EOF, stream, OFFSET.pack(length))


def encode_credit(stream: int, acked: int, window: int) -> bytes:
    """Encode what a receiver has taken and how many bytes beyond that it accepts."""
    return encode(FrameType.CREDIT, stream, CREDIT.pack(acked, window))


def split_data(payload: bytes) -> tuple[int, bytes]:
    """The offset and the bytes of a DATA payload."""
    return OFFSET.unpack_from(payload)[0], payload[OFFSET.size :]


def stream_length(payload: bytes) -> int:
    """The stream length in an EOF payload."""
    (length,) = OFFSET.unpack(payload)
    return int(length)


def split_credit(payload: bytes) -> tuple[int, int]:
    """The acknowledged offset and the window of a CREDIT payload, in bytes."""
    acked, window = CREDIT.unpack(payload)
    return acked, window


def _possible(type: int, flags: int, stream: int, length: int) -> bool:
    """Whether a header can begin a frame of version 1."""
    if flags or length > MAX_PAYLOAD:
        return False
    match type:
        case FrameType.HELLO | FrameType.EVENT:
            return stream == 0
        case FrameType.REQUEST | FrameType.RESPONSE:
            return stream != 0
        case FrameType.DATA:
            return stream != 0 and length > OFFSET.size
        case FrameType.EOF:
            return stream != 0 and length == OFFSET.size
        case FrameType.CREDIT:
            return stream != 0 and length == CREDIT.size
        case FrameType.PING | FrameType.PONG:
            return stream == 0 and length == ECHO_SIZE
        case FrameType.PART:
            return stream != 0 and length > 0
        case _:
            return False


class FrameDecoder:
    """Turns a byte stream, chunked in any way, into frames. Buffers at most one frame."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._hunting = False
        self._unproven = False  # the hunt began with a run that may be too short
        self._run = 0

    @property
    def buffered(self) -> int:
        """Bytes held of a frame that is not complete, at most MAX_FRAME."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Frame | Torn]:
        """Decode ``data``; return what it completed, in order.

        After a Torn nothing is decoded until the next run of SENTINEL bytes.
        """
        found: list[Frame | Torn] = []
        at = 0
        while at < len(data):
            if self._hunting:
                at = self._hunt(data, at, found)
            elif not self._pending and data[at] == SENTINEL:
                self._hunting, self._unproven, self._run = True, True, 0
            else:
                at = self._collect(data, at, found)
        return found

    def _hunt(self, data: bytes, at: int, found: list[Frame | Torn]) -> int:
        """Drop bytes up to the first one behind a long enough run."""
        while at < len(data):
            run = _run_end(data, at)
            self._run = min(self._run + run - at, MIN_RUN)
            if run == len(data):
                return run
            if self._run == MIN_RUN:
                self._hunting = self._unproven = False
                return run
            if self._unproven:
                self._unproven = False
                found.append(Torn.SENTINEL)
            self._run = 0
            next_run = data.find(SENTINEL, run)
            at = len(data) if next_run < 0 else next_run
        return at

    def _collect(self, data: bytes, at: int, found: list[Frame | Torn]) -> int:
        """Take bytes of the current frame; return where the rest begins."""
        missing = HEADER.size - len(self._pending)
        if missing > 0:
            self._pending += data[at : at + missing]
            if len(self._pending) == HEADER.size and not _possible(*HEADER.unpack(self._pending)):
                self._tear(Torn.HEADER, found)
            return min(at + missing, len(data))
        type, _, stream, length = HEADER.unpack_from(self._pending)
        missing = HEADER.size + int(length) + 1 - len(self._pending)
        self._pending += data[at : at + missing]
        if len(self._pending) == HEADER.size + length + 1:
            if self._pending[-1] == END:
                with memoryview(self._pending) as whole:  # a slice of the bytearray would be a copy more
                    found.append(Frame(FrameType(type), stream, bytes(whole[HEADER.size : -1])))
                self._pending.clear()
            else:
                self._tear(Torn.END, found)
        return min(at + missing, len(data))

    def _tear(self, why: Torn, found: list[Frame | Torn]) -> None:
        self._pending.clear()
        self._hunting, self._run = True, 0
        found.append(why)


def _run_end(data: bytes, at: int) -> int:
    """Where the run of SENTINEL bytes that begins at ``at`` ends."""
    if data.startswith(RESYNC, at):  # the common case, without a loop over its bytes
        at += RUN_LENGTH
    while at < len(data) and data[at] == SENTINEL:
        at += 1
    return at
