"""Docker's stdio frames: how stdout and stderr share one connection.

Source: Docker Engine API, "ContainerAttach", stream format: one byte of stream
type, three zero bytes, the payload's length as u32 big-endian, the payload.
"""

from __future__ import annotations

from typing import Literal

from linwin.api import versions

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"

FrameName = Literal["stdout", "stderr", "error"]
"""``error`` carries a message of the daemon's own that ends the stream."""

_TYPES: dict[FrameName, bytes] = {"stdout": b"\x01\0\0\0", "stderr": b"\x02\0\0\0", "error": b"\x03\0\0\0"}


def frame(stream: FrameName, data: bytes) -> bytes:
    """One frame around ``data``, which is shorter than 4 GiB."""
    return b"".join((_TYPES[stream], len(data).to_bytes(4, "big"), data))


def content_type(*, tty: bool, version: tuple[int, int]) -> str:
    """The type of a stream."""
    return RAW if tty or version < versions.MULTIPLEXED_SINCE else MULTIPLEXED
