from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linwin.client.http import exchange
from linwin.client.streams import Attachment, demultiplex
from linwin.errors import Internal, LinwinError, Unavailable

HEAD = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.%s-stream\r\n\r\n"
CUT = "the daemon closed the connection in the middle of the output"


def reader(data: bytes, step: int = 1 << 20) -> Callable[[int], bytes]:
    """A ``read`` that gives at most ``step`` bytes."""
    source = io.BytesIO(data)
    return lambda limit: source.read(min(limit, step))


@pytest.mark.parametrize("step", [1, 3, 1 << 20])
def test_frames_come_apart(step: int) -> None:
    data = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x05there\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01!"
    streams = {"stdout": b"", "stderr": b""}
    for stream, piece in demultiplex(reader(data, step)):
        streams[stream] += piece
    assert streams == {"stdout": b"hi!", "stderr": b"there"}


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"\x01\0\0", Unavailable, "the daemon closed the connection in the middle of the output"),
        (
            b"\x01\0\0\0\0\0\0\x05he",
            Unavailable,
            "the daemon closed the connection in the middle of the output",
        ),
        (b"\x04\0\0\0\0\0\0\x01x", Internal, "the daemon sent a malformed stream frame"),
        (b"\x01\0\x01\0\0\0\0\x01x", Internal, "the daemon sent a malformed stream frame"),
        (b"\x03\0\0\0\0\0\0\x05broke", Internal, "broke"),
    ],
)
def test_bad_frames(data: bytes, kind: type[LinwinError], message: str) -> None:
    with pytest.raises(kind) as caught:
        list(demultiplex(reader(data)))
    assert caught.value.message == message


@given(st.binary(max_size=64), st.integers(1, 9))
def test_any_bytes_are_frames_or_an_error(data: bytes, step: int) -> None:
    try:
        pieces = list(demultiplex(reader(data, step)))
    except LinwinError:
        return
    assert sum(len(piece) for _, piece in pieces) <= len(data)


def attached(kind: bytes, output: bytes) -> tuple[Attachment, socket.socket]:
    ours, theirs = socket.socketpair()
    theirs.sendall(HEAD % kind + output)
    attachment = Attachment(exchange(ours, "POST", "/attach"))
    theirs.recv(65536)  # the request
    return attachment, theirs


def test_raw_streams_are_stdout() -> None:
    attachment, theirs = attached(b"raw", b"any bytes")
    theirs.close()
    with attachment:
        assert list(attachment) == [("stdout", b"any bytes")]


def test_input_is_fed_and_half_closed() -> None:
    attachment, theirs = attached(b"multiplexed", b"")
    read, write = os.pipe()
    os.write(write, b"input")
    os.close(write)
    with attachment, theirs:
        attachment.feed(read).join()
        received = b""
        while data := theirs.recv(100):
            received += data
        assert received == b"input"
        theirs.sendall(b"\x01\0\0\0\0\0\0\x02ok")
        theirs.shutdown(socket.SHUT_WR)
        assert list(attachment) == [("stdout", b"ok")]
    os.close(read)


def test_writing_to_a_daemon_that_hung_up() -> None:
    attachment, theirs = attached(b"raw", b"")
    theirs.close()
    with attachment:
        while attachment.write(b"x" * 1000):
            pass
        attachment.close_stdin()


def test_a_descriptor_that_cannot_be_read_counts_as_ended() -> None:
    attachment, theirs = attached(b"raw", b"")
    folder = os.open("/", os.O_RDONLY)
    with attachment, theirs:
        attachment.feed(folder).join()
        assert theirs.recv(100) == b""
    os.close(folder)
