"""An NTFS volume inside an overlay, written in process by libntfs-3g."""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import Any, Self

from linwin.disks._ntfs import ffi, lib
from linwin.layers import Metadata

ROOT = 5
"""MFT number of the root folder."""

CACHE_BYTES = 96 << 20
MOST_SECURITY_IDS = 4096


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


class Volume:
    """One mounted volume. Files go by MFT number, names are matched without regard to case.

    A context manager: leaving it writes everything out; leaving it by an
    exception drops what was not written, since the overlay is thrown away then.
    All methods raise VolumeError, or ExportError when the overlay itself failed.
    """

    def __init__(self, connection: socket.socket, *, offset: int) -> None:
        """Mount the volume that begins ``offset`` bytes into the export at ``connection``."""
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
            self._check(lib.volume_mount(self._device, volume))
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

    def lookup(self, parent: int, name: str) -> Node | None:
        """Find a name in a directory."""
        result = lib.volume_lookup(self._volume, parent, *utf16(name), self._number, self._kind)
        if result == -errno.ENOENT:
            return None
        self._check(result)
        return node(self._number[0], self._kind[0])

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
        """Create or replace an alternate stream; goes on as :meth:`create_file` does."""
        self._check(lib.volume_create_stream(self._volume, number, *utf16(stream), head, len(head), size))

    def append(self, data: bytes) -> None:
        self._check(lib.volume_append(self._volume, data, len(data)))

    def finish(self) -> None:
        self._check(lib.volume_finish(self._volume))

    def set_metadata(self, number: int, metadata: Metadata) -> None:
        """Give a directory that exists the metadata of an upper layer's."""
        kept_alive = self._fill(metadata, b"")
        result = lib.volume_set_metadata(self._volume, number, self._metadata, self._security_id)
        del kept_alive
        self._number[0] = number
        self._created(result, metadata)

    def link(self, target: int, parent: int, name: str) -> int:
        """Give the file ``target`` one more name; EEXIST when it is taken."""
        self._check(lib.volume_link(self._volume, target, parent, *utf16(name)))
        return target

    def remove(self, parent: int, number: int, name: str) -> None:
        """Remove one name; of a directory only when it is empty."""
        self._check(lib.volume_remove(self._volume, parent, number, *utf16(name)))

    def list(self, number: int) -> list[tuple[str, Node]]:
        """All names of a directory, the volume's own files left out."""
        names, count = ffi.new("struct name **"), ffi.new("size_t *")
        self._check(lib.volume_list(self._volume, number, names, count))
        found = ffi.gc(names[0], lib.free)
        return [
            (
                bytes(ffi.buffer(entry.text, 2 * entry.length)).decode("utf-16-le", "surrogatepass"),
                node(entry.number, entry.kind),
            )
            for entry in (found[i] for i in range(count[0]))
        ]

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
        if metadata.security and len(self._security_ids) < MOST_SECURITY_IDS:
            self._security_ids[metadata.security] = self._security_id[0]
        return int(self._number[0])

    def _check(self, result: int) -> None:
        if result == 0:
            return
        refused = lib.device_export_error(self._device)
        if refused:
            raise ExportError(refused, os.strerror(refused))
        raise VolumeError(-result, os.strerror(-result))


def node(number: int, kind: int) -> Node:
    return Node(number, bool(kind & lib.KIND_DIRECTORY), bool(kind & lib.KIND_REPARSE))


def utf16(text: str) -> tuple[Any, int]:
    """A name as C takes it: its UTF-16 units and their number."""
    data = text.encode("utf-16-le", "surrogatepass")
    return ffi.from_buffer("uint16_t[]", data), len(data) // 2


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
