"""What a checkpoint consists of: RAM and the state of the devices, on disk and in sealed memory.

On disk the RAM is a sequence of extents, each two big-endian 64-bit numbers,
its offset and its length, and the bytes; pages of zeros are left out. In memory
both parts are memfds with every seal, so that no clone can change what the
others read, whatever its QEMU does: QEMU 7.2 opens the file of its RAM for
writing even where it maps it privately.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PAGE = 4096
_PIECE = 1 << 20
_EXTENT = struct.Struct(">QQ")
_ZEROS = bytes(PAGE)
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Damaged(Exception):
    """A part of a checkpoint is not what was written."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a checkpoint: its size in bytes and its SHA-256 in hexadecimal."""

    size: int
    digest: str


class Frozen:
    """A checkpoint in sealed memory; the files are its own."""

    def __init__(self, ram: int, state: int) -> None:
        self.ram = ram
        self._state = state

    def duplicate(self) -> Frozen:
        """The same memory, to be closed by itself."""
        ram = os.dup(self.ram)
        try:
            return Frozen(ram, os.dup(self._state))
        except BaseException:
            os.close(ram)
            raise

    def open_state(self) -> int:
        """The state of the devices, open for reading from its beginning."""
        return os.open(f"/proc/self/fd/{self._state}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the memory, which lives on while clones use it. Idempotent."""
        for file in (self.ram, self._state):
            if file >= 0:
                os.close(file)
        self.ram = self._state = -1


def empty_memory(name: str, size: int = 0) -> int:
    """A memfd of ``size`` zero bytes that can be sealed. Raises OSError."""
    file = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(file, size)
    except BaseException:
        os.close(file)
        raise
    return file


def write_ram(ram: int, target: IO[bytes]) -> Part:
    """Write a memfd's extents to ``target``. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    for offset, data in _extents(ram):
        header = _EXTENT.pack(offset, len(data))
        for piece in (header, data):
            target.write(piece)
            digest.update(piece)
        size += len(header) + len(data)
    return Part(size, digest.hexdigest())


def write_state(state: int, target: IO[bytes]) -> Part:
    """Write a memfd as it is to ``target``. Raises OSError."""
    data = os.pread(state, os.fstat(state).st_size, 0)
    target.write(data)
    return Part(len(data), hashlib.sha256(data).hexdigest())


def read_ram(source: IO[bytes], part: Part, memory: int) -> int:
    """A sealed memfd of ``memory`` bytes with what ``source`` holds. Raises Damaged and OSError."""
    file = empty_memory("linwin-ram", memory)
    try:
        digest, left, end = hashlib.sha256(), part.size, 0
        while left:
            header = _exactly(source, min(_EXTENT.size, left))
            if len(header) != _EXTENT.size:
                raise Damaged("its RAM ends in the middle of an extent")
            digest.update(header)
            offset, length = _EXTENT.unpack(header)
            left -= len(header) + length
            if left < 0 or offset < end or offset + length > memory or not length:
                raise Damaged("its RAM has an extent that does not fit")
            end = offset + length
            while offset < end:
                piece = _exactly(source, min(_PIECE, end - offset))
                digest.update(piece)
                os.pwrite(file, piece, offset)
                offset += len(piece)
        _check(source, digest.hexdigest() == part.digest, "RAM")
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def read_state(source: IO[bytes], part: Part) -> int:
    """A sealed memfd with what ``source`` holds. Raises Damaged and OSError."""
    data = _exactly(source, part.size)
    _check(source, hashlib.sha256(data).hexdigest() == part.digest, "device state")
    file = empty_memory("linwin-state")
    try:
        os.write(file, data)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(file)
        raise
    return file


def new_file(path: Path) -> IO[bytes]:
    """A new file for a part, readable by its owner alone. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _extents(ram: int) -> Iterator[tuple[int, bytes]]:
    """The runs of pages that are not zero, none longer than a piece, in order."""
    for start, end in _allocated(ram):
        for offset in range(start, end, _PIECE):
            data = os.pread(ram, min(_PIECE, end - offset), offset)
            begin: int | None = None
            for at in range(0, len(data) + PAGE, PAGE):
                zero = data[at : at + PAGE] in (_ZEROS, b"")
                if begin is None and not zero:
                    begin = at
                elif begin is not None and zero:
                    yield offset + begin, data[begin:at]
                    begin = None


def _allocated(ram: int) -> Iterator[tuple[int, int]]:
    """Where the file has pages at all (lseek(2), SEEK_DATA)."""
    size, end = os.fstat(ram).st_size, 0
    while end < size:
        try:
            start = os.lseek(ram, end, os.SEEK_DATA)
        except OSError:  # ENXIO: there are none behind
            return
        end = os.lseek(ram, start, os.SEEK_HOLE)
        yield start, end


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise Damaged("a part of it is shorter than it was")
    return data


def _check(source: IO[bytes], right: bool, what: str) -> None:
    if source.read(1):
        raise Damaged(f"its {what} is longer than it was")
    if not right:
        raise Damaged(f"its {what} is not what was written")
