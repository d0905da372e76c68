"""A layer's way into the store: copied as it comes, unpacked and hashed as it passes.

Runs in threads: hashing and decompression release the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from typing import Protocol

from linwin.errors import InvalidRequest
from linwin.images.compression import Compression, Reader, decompressed, decompressing, detect

Advance = Callable[[int], object]
"""Called with the number of bytes that have come so far; may raise to stop the work."""

_CHUNK = 1 << 20
_HEAD = 8
_REPORT_INTERVAL = 0.1
_PLAIN = "application/vnd.oci.image.layer.v1.tar"


class Sink(Protocol):
    """Where a blob's bytes go: an :class:`~linwin.images.blobs.Intake`, or a hash alone."""

    size: int

    @property
    def digest(self) -> str: ...

    def write(self, data: bytes) -> None: ...


class HashSink:
    """A sink that keeps nothing but the digest."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)


def copy_layer(
    source: Reader, sink: Sink, advance: Advance, *, what: str, diff_id: str, digest: str | None = None
) -> Compression | None:
    """Pass all of a layer's bytes to ``sink``, check it on the way, and return its compression.

    ``what`` names the layer in errors. Raises InvalidRequest when its bytes do
    not have the ``digest`` (where one is known), when they cannot be unpacked,
    or when their content does not have the ``diff_id``.
    """
    head = _read_head(source)
    tap = _Tap(_Peeked(head, source), sink, advance)
    compression = detect(head)
    if compression == "xz":
        raise InvalidRequest(f"{what} is compressed with xz; a layer is plain or uses gzip or zstd")
    try:
        content = _content_digest(tap, compression, what, advance, sink)
    except InvalidRequest:
        _drain(tap)
        check_digest(sink, digest, what)  # not corrupt as it was made, but on its way here
        raise
    _drain(tap)
    check_digest(sink, digest, what)
    found = content or sink.digest
    if found != diff_id:
        raise InvalidRequest(f"{what} is corrupt: its content has the diff id {found}")
    return compression


def check_digest(sink: Sink, digest: str | None, what: str) -> None:
    if digest is not None and sink.digest != digest:
        raise InvalidRequest(f"{what} is corrupt: its digest is {sink.digest}, not {digest}")


def meter(tell: Callable[[int], object], breathe: Callable[[], object], total: int) -> Advance:
    """An :data:`Advance` that tells how far a layer has come a few times a second and at its end."""
    last, told = 0.0, 0

    def advance(current: int) -> None:
        nonlocal last, told
        now = time.monotonic()
        if current != told and (current == total or now - last >= _REPORT_INTERVAL):
            last, told = now, current
            tell(current)
        else:
            breathe()

    return advance


def media_type_of(declared: str | None, compression: Compression | None) -> str:
    """What an archive or manifest says a layer is, unless its bytes say otherwise."""
    if declared and declared_compression(declared) == compression:
        return declared
    return _PLAIN if compression is None else f"{_PLAIN}+{compression}"


def _content_digest(
    source: Reader, compression: Compression | None, what: str, advance: Advance, sink: Sink
) -> str | None:
    """The digest of what a compressed layer unpacks to; None for a plain one, which is its own content."""
    if compression is None:
        return None
    content = hashlib.sha256()
    reader = decompressed(source, compression)
    with decompressing(what):
        while data := reader.read(_CHUNK):
            content.update(data)
            advance(sink.size)  # a few bytes may unpack to very many
    return f"sha256:{content.hexdigest()}"


def declared_compression(media_type: str) -> Compression | None:
    """What a layer's media type says of its compression."""
    if media_type.endswith(("+gzip", ".gzip")):
        return "gzip"
    return "zstd" if media_type.endswith(("+zstd", ".zstd")) else None


def _read_head(source: Reader) -> bytes:
    head = b""
    while len(head) < _HEAD and (data := source.read(_HEAD - len(head))):
        head += data
    return head


def _drain(reader: Reader) -> None:
    while reader.read(_CHUNK):
        pass


class _Tap:
    """A reader that copies all that passes through it into a sink."""

    def __init__(self, source: Reader, sink: Sink, advance: Advance) -> None:
        self._source = source
        self._sink = sink
        self._advance = advance

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._sink.write(data)
            self._advance(self._sink.size)
        return data


class _Peeked:
    """A reader that gives bytes that were read ahead once more."""

    def __init__(self, head: bytes, source: Reader) -> None:
        self._head = head
        self._source = source

    def read(self, size: int, /) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        return data + self._source.read(size - len(data)) if len(data) < size else data
