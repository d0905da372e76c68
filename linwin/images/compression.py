"""Decompression of hostile streams: bounded memory, whatever the ratio.

A compressed byte can stand for a thousand and more, so nothing here
decompresses a whole chunk: readers are asked for the bytes that are wanted.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Literal, Protocol, cast

import zstandard

from linwin.errors import InvalidRequest

Compression = Literal["gzip", "zstd", "xz"]

_CHUNK = 1 << 20
_XZ_MEMORY = 256 << 20
_ZSTD_WINDOW = 128 << 20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"


class Reader(Protocol):
    """A source of bytes; ``read`` returns at most ``size`` and nothing only at the end."""

    def read(self, size: int, /) -> bytes: ...


def detect(head: bytes) -> Compression | None:
    """Tell a stream's compression from its first bytes; None for a plain one."""
    if head.startswith(b"\x1f\x8b\x08"):
        return "gzip"
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):
        return "zstd"
    if head.startswith(b"\xfd7zXZ\x00"):
        return "xz"
    return None


def decompressed(source: Reader, compression: Compression | None) -> Reader:
    """A reader of what ``source`` stands for; use it within :func:`decompressing`."""
    if compression == "gzip":
        return cast(Reader, gzip.GzipFile(fileobj=cast(IO[bytes], source)))
    if compression == "zstd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        return cast(Reader, decompressor.stream_reader(cast(IO[bytes], source), read_across_frames=True))
    if compression == "xz":
        return _XzReader(source)
    return source


@contextmanager
def decompressing(what: str) -> Iterator[None]:
    """Translate what the decompressors say of a corrupt ``what`` into InvalidRequest."""
    try:
        yield
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError) as error:
        raise InvalidRequest(f"{what} is corrupt: {error}") from error


class _XzReader:
    """xz streams, one after the other; the standard library's file class has no memory limit."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self._decoder = _xz_decoder()
        self._pending = b""

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                self._pending = self._decoder.unused_data or self._source.read(_CHUNK)
                if not self._pending:
                    return b""
                self._decoder = _xz_decoder()
            elif self._decoder.needs_input and not self._pending:
                self._pending = self._source.read(_CHUNK)
                if not self._pending:
                    raise EOFError("the xz stream ends early")
            data = self._decoder.decompress(self._pending, size)
            self._pending = b""
            if data:
                return data


def _xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
