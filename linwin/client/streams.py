"""Container output as a client reads it: docker's stdio frames, and hijacked connections."""

from __future__ import annotations

import os
import socket

from linwin.client.http import PIECE, Response
from linwin.errors import Internal, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Thread

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"

# Docker Engine API, "ContainerAttach", stream format: {type, 0, 0, 0, length u32 big-endian}, payload.
_NAMES = {0: "stdout", 1: "stdout", 2: "stderr", 3: "error"}
_HEADER = 8


def output(response: Response) -> Iterator[tuple[str, bytes]]:
    """What a container prints, as (``stdout`` or ``stderr``, bytes), until the stream ends.

    A raw stream (tty) is all stdout. Raises Unavailable when the stream ends
    within a frame, Internal for what is no frame or for an error frame.
    """
    if response.headers.get("content-type") == MULTIPLEXED:
        return demultiplex(response.read1)
    return (("stdout", data) for data in iter(response.read1, b""))


def demultiplex(read: Callable[[int], bytes]) -> Iterator[tuple[str, bytes]]:
    """Split docker's stdio frames; a long frame comes in pieces. ``read(n)`` gives at most n bytes."""
    name, left, rest = "", 0, b""
    while data := read(PIECE):
        data, position = rest + data, 0
        while len(data) - position >= (1 if left else _HEADER):
            if not left:
                name, left = _parse_header(data[position : position + _HEADER])
                position += _HEADER
                if name == "error":
                    raise Internal(_message(data[position:], left, read))
                continue
            piece = data[position : position + left]
            position += len(piece)
            left -= len(piece)
            yield name, piece
        rest = data[position:]
    if left or rest:
        raise _cut()


def _parse_header(header: bytes) -> tuple[str, int]:
    kind, left = header[0], int.from_bytes(header[4:], "big")
    if kind not in _NAMES or header[1:4] != b"\0\0\0":
        raise Internal("the daemon sent a malformed stream frame")
    return _NAMES[kind], left


def _message(data: bytes, length: int, read: Callable[[int], bytes]) -> str:
    """The text of an error frame, cut to a sensible length."""
    while len(data) < min(length, PIECE) and (more := read(PIECE)):
        data += more
    return data[: min(length, PIECE)].decode("utf-8", "replace")


def _cut() -> Unavailable:
    return Unavailable("the daemon closed the connection in the middle of the output")


class Attachment:
    """A hijacked connection: iterate for output, write for stdin. A context manager."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._socket = response.socket

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """(``stdout`` or ``stderr``, bytes) until the container's output ends."""
        return output(self._response)

    def write(self, data: bytes) -> bool:
        """Send to the container's stdin, waiting while it is full. False once nobody reads it."""
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def close_stdin(self) -> None:
        """Send end-of-file to the container's stdin (a half-close); output goes on. Idempotent."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # the daemon hung up first: its end of stdin is closed already
            return

    def feed(self, descriptor: int) -> Thread:
        """Copy a file descriptor to stdin in a daemon thread, then half-close.

        The thread may stay blocked in reading a terminal; it does not keep the
        program from ending.
        """
        import threading

        thread = threading.Thread(target=self._feed, args=(descriptor,), name="stdin", daemon=True)
        thread.start()
        return thread

    def _feed(self, descriptor: int) -> None:
        while (data := _read_descriptor(descriptor)) and self.write(data):
            pass
        self.close_stdin()

    def close(self) -> None:
        """Detach; the container runs on."""
        self._response.close()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read_descriptor(descriptor: int) -> bytes:
    """A piece of input; a descriptor that cannot be read (closed, a folder) counts as ended, as for cat."""
    try:
        return os.read(descriptor, PIECE)
    except OSError:
        return b""
