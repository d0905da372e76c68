"""The body of a build request → a tar that can be looked into, or a Dockerfile alone.

docker takes a tar, plain or compressed with gzip, bzip2, xz or zstd, and for lack of a tar a Dockerfile.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linwin.errors import InvalidRequest, Unavailable
from linwin.layers import tar
from linwin.layers.copied import choose
from linwin.layers.errors import Malformed
from linwin.layers.stream import plain
from linwin.sources.contents import BROKEN, begins_tar
from linwin.sources.text import LARGEST_DOCKERFILE

SPARE = 256 << 20
"""Bytes that a build leaves free on the disk for others."""
FREE_SPACE = "Free space below LINWIN_ROOT, for example with: linwin image prune"


def plain_body(body: Path, spool: Path) -> Path:
    """The file that has the body without its compression: itself, or what is written to ``spool``.

    Raises InvalidRequest for a damaged one, Unavailable where it does not fit on the disk.
    """
    with body.open("rb") as source:
        decode = choose(source)
        if decode is plain:
            return body
        room = room_in(spool.parent)
        with spool.open("wb") as target, damaged("the build context"):
            for piece in decode(source):
                room -= len(piece)
                if room < 0:
                    raise no_space("the build context was unpacked")
                target.write(piece)
    return spool


def is_tar(beginning: bytes) -> bool:
    """Whether a body that begins so is a tar; one of zeros has nothing in it."""
    return begins_tar(beginning) or beginning == tar.ZERO_BLOCK


def dockerfile_alone(body: Path) -> bytes:
    """What a body that is no tar holds, when it may be a Dockerfile. Raises InvalidRequest."""
    data = b""
    if body.stat().st_size <= LARGEST_DOCKERFILE:
        data = body.read_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or "\0" in text:
        raise InvalidRequest("the build context is neither a tar archive nor a Dockerfile", hint=BROKEN)
    return data


def first_block(pieces: Iterator[bytes]) -> bytes:
    """The first block of what is decoded."""
    found = b""
    for piece in pieces:
        found += piece[: tar.BLOCK - len(found)]
        if len(found) == tar.BLOCK:
            break
    return found


def room_in(folder: Path) -> int:
    """Bytes that a build may write to the disk of ``folder``."""
    return max(0, shutil.disk_usage(folder).free - SPARE)


def no_space(doing: str) -> Unavailable:
    return Unavailable(f"no space left on device while {doing}", hint=FREE_SPACE)


@contextmanager
def damaged(what: str) -> Iterator[None]:
    """Say of a stream that cannot be decoded which one it is."""
    try:
        yield
    except Malformed as error:
        raise InvalidRequest(f"{what}: {error}", hint=BROKEN) from error


@contextmanager
def disk_failures(doing: str) -> Iterator[None]:
    """Say what the failures of the host's disk mean to a user."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_space(doing) from error
        raise Unavailable(f"failed while {doing}: {error.strerror}") from error
