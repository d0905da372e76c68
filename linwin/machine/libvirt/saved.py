"""Files of ``virDomainSave``: a clone is given the same one, with another domain's description.

libvirt does not restore a domain under another UUID, so what it reads is not the file but a pipe: the
header of the file, the description that the clone is to have, and the rest of the file, which no
clone has a copy of. The header is ``virQEMUSaveHeader`` of libvirt's src/qemu/qemu_saveimage.h,
version 2, in the byte order of the host: magic, version, length of the data, three numbers (the last
is where in the data a cookie begins), 14 unused ones; then the data, which are the description, the
cookie, each with a zero byte, and padding; then QEMU's stream.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import BinaryIO, TypeVar

from linwin.errors import Unavailable

T = TypeVar("T")

MAGIC = b"LibvirtQemudSave"
VERSION = 2
_NUMBERS = struct.Struct("=16s5I")
HEADER = _NUMBERS.size + 14 * 4
_MOST_DATA = 8 << 20
_PIECE = 1 << 20


def redescribed(file: BinaryIO, description: str) -> tuple[bytes, int]:
    """The beginning of a save file with another description, and where in the file the rest begins.

    Raises Unavailable for a file of another form, OSError.
    """
    header = os.pread(file.fileno(), HEADER, 0)
    if len(header) != HEADER or header[: len(MAGIC)] != MAGIC:
        raise Unavailable("the checkpoint is no file that libvirt saved")
    magic, version, length, running, compressed, cookie = _NUMBERS.unpack_from(header)
    data = os.pread(file.fileno(), length, HEADER) if length <= _MOST_DATA else b""
    if version != VERSION or len(data) != length or cookie > length:
        raise Unavailable(f"this libvirt saves machines in a form that linwin does not know ({version})")
    text = description.encode() + b"\0"
    kept = data[cookie:].rstrip(b"\0") + b"\0" if cookie else b""
    content = (text + kept).ljust(length, b"\0")
    numbers = _NUMBERS.pack(magic, version, len(content), running, compressed, len(text) if cookie else 0)
    return numbers + header[_NUMBERS.size :] + content, HEADER + length


def through_pipe(path: Path, beginning: bytes, file: BinaryIO, rest: int, read: Callable[[str], T]) -> T:
    """What ``read`` makes of a named pipe at ``path`` that it opens and reads to its end.

    Blocks. Raises what ``read`` raises, OSError.
    """
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    with ExitStack() as undo:
        undo.callback(path.unlink)
        feeding = undo.enter_context(ThreadPoolExecutor(1, thread_name_prefix="saved machine"))
        opened = Event()
        fed = feeding.submit(_feed, path, opened, beginning, file.fileno(), rest)
        undo.callback(_let_go, path, opened)
        try:
            return read(str(path))
        except Exception:
            undo.close()
            fed.result()  # raises why the reader met a sudden end, where that is ours
            raise


def _let_go(path: Path, opened: Event) -> None:
    """End a feeder whose reader is gone, or never came: it has nobody left to write to then."""
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    opened.wait()
    os.close(reader)


def _feed(path: Path, opened: Event, beginning: bytes, file: int, rest: int) -> None:
    # Waits for the reader: the end of what fails at once must not be over before somebody can see it.
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    finally:
        opened.set()  # also where it could not be: nobody waits for ever
    try:
        left = memoryview(beginning)
        while left:
            left = left[os.write(pipe, left) :]
        while count := os.splice(file, pipe, _PIECE, offset_src=rest):
            rest += count
    except BrokenPipeError:
        return  # its reader has told why
    finally:
        os.close(pipe)
