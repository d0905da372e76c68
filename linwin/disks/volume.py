"""An NTFS volume inside an overlay, written in process by libntfs-3g."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from linwin.disks._ntfs import ffi, lib
from linwin.layers import Metadata

ROOT = 5
"""MFT number of the root folder."""

CACHE_BYTES = 96 << 20
MOST_SECURITY_IDS = 4096
LARGEST_REMEMBERED = 4096
"""Bytes of a descriptor whose id is remembered. Real ones have a few hundred."""

LISTED_NAME = struct.Struct("=QBB6x")
"""``struct name``."""
EXTENDED = struct.Struct("<IBBH")
"""The head of a FILE_FULL_EA_INFORMATION: offset of the next, flags, lengths of name and value."""


class VolumeError(OSError):
    """libntfs-3g refused an operation; ``errno`` says why."""


class ExportError(OSError):
    """The overlay behind the volume could not be read or written."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a name stands for: an MFT record, by number, and its kind."""

    number: int
    is_directory: bool
    is_reparse_point: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether names can lie in it: links to folders are not followed."""
        return self.is_directory and not self.is_reparse_point


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a disk or volume, in bytes."""

    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Records:
    """Where a volume keeps its file records, in their order; each has ``size`` bytes."""

    extents: tuple[Extent, ...]
    size: int


class Volume:
    """One mounted volume. Files go by MFT number, names are matched without regard to case.

    A context manager: leaving it writes everything out; leaving it by an
    exception drops what was not written, since the overlay is thrown away then.
    All methods raise VolumeError, or ExportError when the overlay itself failed.
    """

    def __init__(
        self, connection: socket.socket, *, offset: int, writable: bool = True, clean: bool = False
    ) -> None:
        """Mount the volume that begins ``offset`` bytes into the export at ``connection``.

        One that is not ``writable`` may be dirty, and is only to be read. With
        ``clean`` one that is not clean raises VolumeError: EUCLEAN.
        """
        self._device = lib.device_open(connection.detach(), offset, CACHE_BYTES)
        if self._device == ffi.NULL:
            raise ExportError(ffi.errno, os.strerror(ffi.errno))
        self.size = int(lib.device_size(self._device))
        """Bytes of the volume's disk or partition."""
        self._metadata = ffi.new("struct metadata *")
        self._number = ffi.new("uint64_t *")
        self._kind = ffi.new("int *")
        self._security_id = ffi.new("uint32_t *")
        self._security_ids: dict[bytes, int] = {}
        volume = ffi.new("struct volume **")
        try:
            if clean:
                verdict = lib.volume_verify(self._device)
                self._check(verdict if verdict <= 0 else -errno.EUCLEAN)
            mount = lib.volume_mount if writable else lib.volume_mount_read_only
            self._check(mount(self._device, volume))
        except BaseException:
            lib.device_close(self._device)
            raise
        self._volume = volume[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._check(lib.volume_unmount(self._volume))
                self._check(-ffi.errno if lib.device_flush(self._device) != 0 else 0)
        finally:
            lib.device_close(self._device)

    @property
    def bytes_read(self) -> int:
        """Bytes that were read of the disk so far."""
        return int(lib.device_bytes_read(self._device))

    def lookup(self, parent: int, name: str) -> Node | None:
        """Find a name in a directory."""
        result = lib.volume_lookup(self._volume, parent, *utf16(name), self._number, self._kind)
        if result == -errno.ENOENT:
            return None
        self._check(result)
        return node(self._number[0], self._kind[0])

    def find(self, path: str) -> Node | None:
        """What a path from the root stands for, without following reparse points."""
        found: Node | None = Node(ROOT, is_directory=True)
        for name in path.split("/") if path else ():
            if found is None or not found.is_folder:
                return None
            found = self.lookup(found.number, name)
        return found

    def create_directory(self, parent: int, name: str, metadata: Metadata, reparse: bytes = b"") -> int:
        """Create a directory, or a reparse point that is one; EEXIST when the name is taken."""
        kept_alive = self._fill(metadata, reparse)
        result = lib.volume_create_directory(
            self._volume, parent, *utf16(name), self._metadata, self._number, self._security_id
        )
        del kept_alive
        return self._created(result, metadata)

    def create_file(
        self, parent: int, name: str, metadata: Metadata, head: bytes, size: int, reparse: bytes = b""
    ) -> int:
        """Create a file of ``size`` bytes that begins with ``head``; EEXIST when the name is taken.

        Where ``head`` is not all of it, :meth:`append` the rest, then :meth:`finish`.
        """
        kept_alive = self._fill(metadata, reparse)
        result = lib.volume_create_file(
            self._volume,
            parent,
            *utf16(name),
            self._metadata,
            head,
            len(head),
            size,
            self._number,
            self._security_id,
        )
        del kept_alive
        return self._created(result, metadata)

    def create_stream(self, number: int, stream: str, head: bytes, size: int) -> None:
        """Create or replace a stream, "" for the unnamed one; goes on as :meth:`create_file` does."""
        self._check(lib.volume_create_stream(self._volume, number, *utf16(stream), head, len(head), size))

    def append(self, data: bytes) -> None:
        self._check(lib.volume_append(self._volume, data, len(data)))

    def finish(self) -> None:
        self._check(lib.volume_finish(self._volume))

    def set_metadata(self, number: int, metadata: Metadata, reparse: bytes = b"") -> None:
        """Give a file or directory that exists other metadata, all but its streams."""
        kept_alive = self._fill(metadata, reparse)
        result = lib.volume_set_metadata(self._volume, number, self._metadata, self._security_id)
        del kept_alive
        self._number[0] = number
        self._created(result, metadata)

    def remove_streams(self, number: int) -> None:
        """Remove all alternate data streams of a file or directory."""
        self._check(lib.volume_remove_streams(self._volume, number))

    def link(self, target: int, parent: int, name: str) -> int:
        """Give the file ``target`` one more name; EEXIST when it is taken."""
        self._check(lib.volume_link(self._volume, target, parent, *utf16(name)))
        return target

    def remove(self, parent: int, number: int, name: str) -> None:
        """Remove one name; of a directory only when it is empty. The parent keeps its times."""
        self._check(lib.volume_remove(self._volume, parent, number, *utf16(name)))

    def list(self, number: int) -> Iterator[tuple[str, Node]]:
        """All names that a directory has now, the volume's own files left out."""
        names, size = ffi.new("uint8_t **"), ffi.new("size_t *")
        self._check(lib.volume_list(self._volume, number, names, size))
        return listed(ffi.gc(names[0], lib.free), size[0])

    def fold(self, name: str) -> str:
        """A name with the letters that the volume's $UpCase takes for equal made equal."""
        return name.translate(self._upcase)

    @cached_property
    def _upcase(self) -> dict[int, int]:
        """The letters that $UpCase changes. It knows UTF-16 units only, so none above U+FFFF."""
        count = ffi.new("size_t *")
        table = lib.volume_upcase(self._volume, count)
        return {unit: table[unit] for unit in range(count[0]) if table[unit] != unit}

    # ---- reading ------------------------------------------------------------

    def details(self, number: int) -> tuple[Metadata, int]:
        """What a file or folder has beside its name and data, and the size of the latter."""
        found = ffi.new("struct details *")
        self._check(lib.reading_details(self._volume, number, found))
        metadata = Metadata(
            found.attributes,
            found.created,
            found.modified,
            found.changed,
            found.accessed,
            self._value(number, lib.VALUE_SECURITY) or None,
            tuple(extended_attributes(self._value(number, lib.VALUE_EXTENDED))),
        )
        return metadata, int(found.size)

    def reparse(self, number: int) -> bytes:
        """The REPARSE_DATA_BUFFER of a reparse point."""
        return self._value(number, lib.VALUE_REPARSE)

    def streams(self, number: int) -> Sequence[tuple[str, int]]:
        """Names and sizes of the alternate data streams."""
        names, size = ffi.new("uint8_t **"), ffi.new("size_t *")
        self._check(lib.reading_streams(self._volume, number, names, size))
        return [(name, found.number) for name, found in listed(ffi.gc(names[0], lib.free), size[0])]

    def names(self, number: int) -> Sequence[tuple[int, str]]:
        """The names of a file, each with the number of its folder; those for DOS are left out."""
        names, size = ffi.new("uint8_t **"), ffi.new("size_t *")
        self._check(lib.reading_names(self._volume, number, names, size))
        return [(found.number, name) for name, found in listed(ffi.gc(names[0], lib.free), size[0])]

    def records(self) -> Records:
        """Where the file records lie."""
        extents, count = ffi.new("struct extent **"), ffi.new("size_t *")
        record_size = ffi.new("uint32_t *")
        self._check(lib.reading_records(self._volume, extents, count, record_size))
        found = ffi.gc(extents[0], lib.free)
        return Records(
            tuple(Extent(found[index].start, found[index].length) for index in range(count[0])),
            int(record_size[0]),
        )

    def open_stream(self, number: int, stream: str) -> int:
        """As :meth:`open_content`, for an alternate data stream."""
        self._check(lib.content_open_stream(self._volume, number, *utf16(stream), self._number))
        return int(self._number[0])

    def _value(self, number: int, value: int) -> bytes:
        data, size = ffi.new("uint8_t **"), ffi.new("size_t *")
        self._check(lib.reading_value(self._volume, number, value, data, size))
        return bytes(ffi.buffer(ffi.gc(data[0], lib.free), size[0])) if size[0] else b""

    # ---- the structure that C reads -----------------------------------------

    def _fill(self, metadata: Metadata, reparse: bytes) -> tuple[Any, ...]:
        """Set the structure that C reads; the result keeps alive what it points to."""
        target = self._metadata
        target.attributes = metadata.attributes
        target.created = metadata.created
        target.modified = metadata.modified
        target.changed = metadata.changed
        target.accessed = metadata.accessed
        security = metadata.security
        target.security_id = self._security_ids.get(security, 0) if security else 0
        pointers = []
        for name, value in (
            ("security", security),
            ("extended", extended_list(metadata.extended)),
            ("reparse", reparse),
        ):
            pointer = ffi.from_buffer(value) if value else ffi.NULL
            setattr(target, name, pointer)
            setattr(target, f"{name}_length", len(value) if value else 0)
            pointers.append(pointer)
        return tuple(pointers)

    def _created(self, result: int, metadata: Metadata) -> int:
        self._check(result)
        # A descriptor is looked up in $Secure once; from then on its id is enough.
        security = metadata.security
        if security and len(security) <= LARGEST_REMEMBERED and len(self._security_ids) < MOST_SECURITY_IDS:
            self._security_ids[security] = self._security_id[0]
        return int(self._number[0])

    def _check(self, result: int) -> None:
        if result == 0:
            return
        refused = lib.device_export_error(self._device)
        if refused:
            raise ExportError(refused, os.strerror(refused))
        raise VolumeError(-result, os.strerror(-result))

    # ---- a file that exists, in place ---------------------------------------

    def open_content(self, number: int) -> int:
        """Open the unnamed stream of a file; its size. Nothing else can be done until it is closed."""
        self._check(lib.content_open(self._volume, number, self._number))
        return int(self._number[0])

    def read_content(self, position: int, size: int) -> bytes:
        """Exactly ``size`` bytes of the open file, which has as many."""
        data = bytearray(size)
        self._check(lib.content_read(self._volume, position, ffi.from_buffer(data), size))
        return bytes(data)

    def overwrite(self, position: int, data: bytes) -> None:
        """Overwrite bytes of the open file; what lies beyond its end makes it longer."""
        self._check(lib.content_write(self._volume, position, data, len(data)))

    def truncate_content(self, size: int) -> None:
        self._check(lib.content_truncate(self._volume, size))

    def close_content(self) -> None:
        self._check(lib.content_close(self._volume))


def node(number: int, kind: int) -> Node:
    return Node(number, bool(kind & lib.KIND_DIRECTORY), bool(kind & lib.KIND_REPARSE))


def listed(names: Any, size: int) -> Iterator[tuple[str, Node]]:
    """Take apart what volume_list gives, a name at a time: a directory may have a million."""
    data = ffi.buffer(names, size)
    at = 0
    while at < size:
        number, kind, length = LISTED_NAME.unpack_from(data, at)
        at += LISTED_NAME.size
        yield bytes(data[at : at + 2 * length]).decode("utf-16-le", "surrogatepass"), node(number, kind)
        at += (2 * length + 7) & ~7


def utf16(text: str) -> tuple[Any, int]:
    """A name as C takes it: its UTF-16 units and their number."""
    data = text.encode("utf-16-le", "surrogatepass")
    return ffi.from_buffer("uint16_t[]", data), len(data) // 2


def extended_attributes(stored: bytes) -> Iterator[tuple[str, bytes]]:
    """A FILE_FULL_EA_INFORMATION list as a volume has it; what is damaged of it is left out."""
    at = 0
    while at + EXTENDED.size <= len(stored):
        length, _, name_length, value_length = EXTENDED.unpack_from(stored, at)
        name_at = at + EXTENDED.size
        value_at = name_at + name_length + 1
        name = stored[name_at : value_at - 1]
        if value_at + value_length > len(stored) or not name.isascii():
            return
        yield name.decode(), stored[value_at : value_at + value_length]
        if length < EXTENDED.size:
            return
        at += length


def extended_list(attributes: tuple[tuple[str, bytes], ...]) -> bytes:
    """A FILE_FULL_EA_INFORMATION list ([MS-FSCC] 2.4.15), as libntfs-3g wants it.

    libntfs-3g demands the last entry's offset to the next to be its length, not 0.
    """
    entries = []
    for name, value in attributes:
        text = name.upper().encode("ascii")
        body = struct.pack("<BBH", 0, len(text), len(value)) + text + b"\0" + value
        length = (4 + len(body) + 3) & ~3
        entries.append((struct.pack("<I", length) + body).ljust(length, b"\0"))
    return b"".join(entries)
