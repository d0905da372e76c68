"""A layer's blob → its uncompressed bytes, decoded and hashed on a thread of its own.

zlib, zstandard and hashlib release the interpreter while they work, so decoding
runs beside whoever consumes the bytes.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import zstandard

from linwin.layers.errors import Malformed

CHUNK = 1 << 20
AHEAD = 8
"""Chunks that are decoded ahead of the consumer, and so the bound on memory."""

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LARGEST_ZSTD_WINDOW = 1 << 27
"""128 MiB, what the zstd tool accepts without being told."""


def plain(blob: BinaryIO) -> Iterator[bytes]:
    while data := blob.read(CHUNK):
        yield data


def gunzip(blob: BinaryIO) -> Iterator[bytes]:
    """Decode gzip, of one member or several. Raises Malformed."""
    data = blob.read(CHUNK)
    while data:
        decoder = zlib.decompressobj(wbits=31)
        while not decoder.eof:
            try:
                yield decoder.decompress(data, CHUNK)
            except zlib.error as error:
                raise Malformed(f"its gzip stream is damaged ({error})") from error
            data = decoder.unconsumed_tail or (b"" if decoder.eof else blob.read(CHUNK))
            if not data and not decoder.eof:
                raise Malformed("its gzip stream ends too early")
        data = decoder.unused_data or blob.read(CHUNK)


def unzstd(blob: BinaryIO) -> Iterator[bytes]:
    """Decode zstd, of one frame or several. Raises Malformed."""
    context = zstandard.ZstdDecompressor(max_window_size=LARGEST_ZSTD_WINDOW)
    reader = context.stream_reader(blob, read_size=CHUNK, read_across_frames=True)
    while True:
        try:
            data = reader.read(CHUNK)
        except zstandard.ZstdError as error:
            raise Malformed(f"its zstd stream is damaged ({error})") from error
        if not data:
            return
        yield data


def decoder_of(blob: BinaryIO) -> Callable[[BinaryIO], Iterator[bytes]]:
    """Choose by the first bytes: media types are often wrong, magic numbers are not."""
    magic = blob.read(4)
    blob.seek(0)
    if magic.startswith(GZIP_MAGIC):
        return gunzip
    return unzstd if magic == ZSTD_MAGIC else plain


Decoder = Callable[[BinaryIO], Callable[[BinaryIO], Iterator[bytes]]]
"""Chooses how a blob is decoded, by its first bytes."""


class LayerStream:
    """Reads a blob as an uncompressed byte stream of at most ``limit`` bytes.

    ``digest`` is the diff id once the stream has been read to its end. Raises
    Malformed, and OSError when the blob cannot be read. ``progress`` is told
    how many bytes of the blob have been used.
    """

    def __init__(
        self,
        blob: Path,
        *,
        limit: int,
        progress: Callable[[int], None],
        decoder: Decoder | None = None,
    ) -> None:
        self._path = blob
        self._decoder = decoder or decoder_of
        self._limit = limit
        self._progress = progress
        self._hash = hashlib.sha256()
        self._chunks: queue.Queue[tuple[bytes, int] | BaseException | None] = queue.Queue(AHEAD)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._decode, name="layer decoder", daemon=True)
        self._chunk = b""
        self._at = 0
        self._ended = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        # The decoder may be waiting for room. Once there is some it puts what it has in hand and
        # then at most its end, for which there is room as well.
        with suppress(queue.Empty):
            while True:
                self._chunks.get_nowait()
        self._thread.join()

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end only."""
        if self._at == len(self._chunk) and not self._advance():
            return b""
        data = self._chunk[self._at : self._at + size]
        self._at += len(data)
        return data

    def drain(self) -> None:
        """Read to the end: what follows the archive counts in its digest too."""
        while self._advance():
            pass

    @property
    def digest(self) -> str:
        return "sha256:" + self._hash.hexdigest()

    def _advance(self) -> bool:
        if self._ended:
            return False
        item = self._chunks.get()
        if isinstance(item, tuple):
            (self._chunk, used), self._at = item, 0
            self._progress(used)
            return True
        self._ended = True
        self._chunk, self._at = b"", 0
        if item is not None:
            raise item
        return False

    def _decode(self) -> None:
        try:
            with self._path.open("rb") as blob:
                self._hash_and_queue(blob)
        except (Malformed, OSError, MemoryError) as error:
            self._chunks.put(error)
        else:
            self._chunks.put(None)

    def _hash_and_queue(self, blob: BinaryIO) -> None:
        total = 0
        for chunk in self._decoder(blob)(blob):
            if self._closed.is_set():
                return
            total += len(chunk)
            if total > self._limit:
                raise Malformed(f"it expands to more than {self._limit} bytes")
            self._hash.update(chunk)
            if chunk:
                self._chunks.put((chunk, blob.tell()))
