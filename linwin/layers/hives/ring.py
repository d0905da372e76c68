"""The security descriptors of a hive that is being changed: one record for each, shared by its keys."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from linwin.layers.errors import Malformed
from linwin.layers.hives.allocator import EditableHive
from linwin.layers.hives.header import NONE
from linwin.layers.hives.security import NEXT, PREVIOUS, REFERENCES, SecurityRecord

MOST = 1 << 16
"""Descriptors of one hive; Windows' own have some thousands."""
UNLINKED = "the security descriptors of the hive are not linked to each other"


class SecurityRing:
    """Counts how many keys use each descriptor. Offsets are of ``sk`` records. Raises Malformed."""

    def __init__(self, hive: EditableHive) -> None:
        self._hive = hive
        self._head = hive.node(hive.block.root).security
        self._known: dict[bytes, int] | None = None

    def take(self, descriptor: bytes) -> int:
        """One more key uses ``descriptor``; its record, a new one if need be."""
        known = self._records()
        offset = known.get(digest(descriptor))
        if offset is None:
            offset = known[digest(descriptor)] = self._append(descriptor)
        else:
            self.share(offset)
        return offset

    def share(self, offset: int) -> None:
        """One more key uses a record."""
        self._count(offset, self._hive.security(offset).references + 1)

    def release(self, offset: int) -> None:
        """One key less uses a record; the last one gives it back."""
        record = self._hive.security(offset)
        if record.references > 1:
            self._count(offset, record.references - 1)
            return
        known = self._known or {}
        if known.get(digest(record.descriptor)) == offset:
            del known[digest(record.descriptor)]
        self._unlink(offset, record)
        self._hive.free(offset)

    def _records(self) -> dict[bytes, int]:
        if self._known is None:
            self._known = {}
            for offset, descriptor in self._walk():
                # Of two equal ones the first, as Windows finds it.
                self._known.setdefault(digest(descriptor), offset)
        return self._known

    def _walk(self) -> Iterator[tuple[int, bytes]]:
        offset = self._head
        for _ in range(MOST):
            if offset == NONE:
                return
            record = self._hive.security(offset)
            if self._hive.security(record.next).previous != offset:
                raise Malformed(UNLINKED)
            yield offset, record.descriptor
            offset = record.next if record.next != self._head else NONE
        raise Malformed(f"the hive has more than {MOST} security descriptors")

    def _append(self, descriptor: bytes) -> int:
        if self._head == NONE:
            offset = self._hive.allocate(SecurityRecord(0, 0, 1, descriptor).pack())
            self._hive.patch(offset, NEXT, struct.pack("<II", offset, offset))
            self._head = offset
            return offset
        following = self._hive.security(self._head).next
        offset = self._hive.allocate(SecurityRecord(following, self._head, 1, descriptor).pack())
        self._hive.patch(self._head, NEXT, struct.pack("<I", offset))
        self._hive.patch(following, PREVIOUS, struct.pack("<I", offset))
        return offset

    def _unlink(self, offset: int, record: SecurityRecord) -> None:
        if record.next == offset:
            self._head = NONE
            return
        if (
            self._hive.security(record.next).previous != offset
            or self._hive.security(record.previous).next != offset
        ):
            raise Malformed(UNLINKED)
        self._hive.patch(record.next, PREVIOUS, struct.pack("<I", record.previous))
        self._hive.patch(record.previous, NEXT, struct.pack("<I", record.next))
        if self._head == offset:
            self._head = record.next

    def _count(self, offset: int, references: int) -> None:
        if references > 0xFFFFFFFF:
            raise Malformed("a security descriptor is used too often")
        self._hive.patch(offset, REFERENCES, struct.pack("<I", references))


def digest(descriptor: bytes) -> bytes:
    return hashlib.sha256(descriptor).digest()
