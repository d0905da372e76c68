"""Telling skopeo which repository of a registry already has a blob.

Before it uploads a blob, skopeo looks into its *blob info cache* for another
repository of the same registry that has it, and lets the registry mount the
blob from there; not a byte of it moves. skopeo writes that cache only for blobs
that it has copied itself. linwin knows of others: the base layers that it never
downloads. So it writes the cache for one run of skopeo, a file that is made for
that run and deleted after it. Where skopeo cannot use the file it copies the
bytes, so nothing depends on it but speed.

The cache is a bolt database. Sources: bbolt's ``page.go``, ``bucket.go`` and
``db.go`` (format version 2) for the file; containers/image's
``pkg/blobinfocache/boltdb`` for the buckets in it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from linwin.images.durable import storing
from linwin.images.references import Reference

CACHE_FILE = Path("containers/cache/blob-info-cache-v1.boltdb")
"""Where skopeo looks for the file, below XDG_DATA_HOME."""

_Bucket: TypeAlias = Mapping[bytes, "bytes | _Bucket"]

_PAGE = 4096
_PAGE_HEADER = struct.Struct("<QHHI")  # id, flags, count, overflow
_ELEMENT = struct.Struct("<IIII")  # flags, position from here, key size, value size
_META = struct.Struct("<IIII QQ QQQ")  # magic, version, page size, flags, root, sequence, freelist, end, txid
_BUCKET = struct.Struct("<QQ")  # root page, sequence
_MAGIC, _VERSION = 0xED0CDAED, 2
_LEAF_PAGE, _META_PAGE, _FREELIST_PAGE = 0x02, 0x04, 0x10
_IS_BUCKET = 0x01
_FIRST_PAGE = 3  # after two metas and the freelist

# time.Time's binary form: version 1, the first second of 1970 counted from year 1, no nanoseconds, UTC.
_WHENEVER = struct.pack(">BqIh", 1, 62_135_596_800, 0, -1)


def write_mount_hints(data_home: Path, repository: Reference, media_types: Mapping[str, str]) -> None:
    """Let a skopeo with this XDG_DATA_HOME know that ``repository`` has the blobs of these digests.

    Raises Unavailable for a full disk.
    """
    with storing("what skopeo should know of a registry"):
        path = data_home / CACHE_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_database(_hints(repository, media_types)))


def _hints(repository: Reference, media_types: Mapping[str, str]) -> _Bucket:
    location = {repository.name.encode(): _WHENEVER}
    compressors = {digest.encode(): _compressor(kind) for digest, kind in media_types.items()}
    known = {digest.encode(): location for digest in media_types}
    return {
        b"digestCompressor": compressors,
        b"knownLocations": {b"docker": {repository.domain.encode(): known}},
    }


def _compressor(media_type: str) -> bytes:
    if media_type.endswith(("+gzip", ".gzip")):
        return b"gzip"
    return b"zstd" if media_type.endswith(("+zstd", ".zstd")) else b"uncompressed"


def _database(root: _Bucket) -> bytes:
    """A bolt database with one leaf for each bucket."""
    pages = bytearray()
    root_page = _add_bucket(root, pages)
    end = _FIRST_PAGE + len(pages) // _PAGE
    metas = b"".join(_meta(number, root_page, end) for number in range(2))
    return metas + _page(2, _FREELIST_PAGE, 0, b"") + pages


def _add_bucket(bucket: _Bucket, pages: bytearray) -> int:
    """Append a bucket's leaf, those below it first; return the number of its page."""
    items = []
    for key, value in sorted(bucket.items()):
        if isinstance(value, bytes):
            items.append((0, key, value))
        else:
            items.append((_IS_BUCKET, key, _BUCKET.pack(_add_bucket(value, pages), 0)))
    number = _FIRST_PAGE + len(pages) // _PAGE
    pages += _page(number, _LEAF_PAGE, len(items), _leaf(items))
    return number


def _leaf(items: list[tuple[int, bytes, bytes]]) -> bytes:
    elements, data = bytearray(), bytearray()
    for index, (flags, key, value) in enumerate(items):
        position = (len(items) - index) * _ELEMENT.size + len(data)
        elements += _ELEMENT.pack(flags, position, len(key), len(value))
        data += key + value
    return bytes(elements + data)


def _meta(number: int, root: int, end: int) -> bytes:
    fields = _META.pack(_MAGIC, _VERSION, _PAGE, 0, root, 0, 2, end, number)
    return _page(number, _META_PAGE, 0, fields + struct.pack("<Q", _fnv(fields)))


def _page(number: int, flags: int, count: int, body: bytes) -> bytes:
    size = _PAGE_HEADER.size + len(body)
    overflow = (size - 1) // _PAGE
    return (_PAGE_HEADER.pack(number, flags, count, overflow) + body).ljust((overflow + 1) * _PAGE, b"\0")


def _fnv(data: bytes) -> int:
    """FNV-1a of 64 bits, a meta page's checksum."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return value
