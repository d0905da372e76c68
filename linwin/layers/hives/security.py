"""Security descriptors of keys: the ``sk`` records.

Format: msuhanov/regf, "Windows registry file format specification".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from linwin.layers.errors import Malformed

RECORD = struct.Struct("<2s2xIIII")
NEXT, PREVIOUS, REFERENCES = 4, 8, 12
"""Positions of an ``sk`` record's fields in its cell's content."""

LARGEST = 1 << 16
"""Bytes of a descriptor."""


@dataclass(frozen=True, slots=True)
class SecurityRecord:
    """One ``sk`` record; ``next`` and ``previous`` make a ring of all of a hive's."""

    next: int
    previous: int
    references: int
    descriptor: bytes

    @classmethod
    def parse(cls, cell: bytes) -> SecurityRecord:
        """Raises Malformed."""
        if len(cell) < RECORD.size or cell[:2] != b"sk":
            raise Malformed("there is no security descriptor where one should be")
        _, next_, previous, references, size = RECORD.unpack_from(cell)
        if not references or size > min(len(cell) - RECORD.size, LARGEST):
            raise Malformed("the record of a security descriptor is not valid")
        return cls(next_, previous, references, cell[RECORD.size : RECORD.size + size])

    def pack(self) -> bytes:
        head = RECORD.pack(b"sk", self.next, self.previous, self.references, len(self.descriptor))
        return head + self.descriptor
