"""Key nodes (``nk``) and values (``vk``) as their cells hold them.

Format: msuhanov/regf, "Windows registry file format specification"; the bits
of layered keys at byte 13 of a key node as seen in the deltas of Windows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from linwin.layers.errors import Malformed
from linwin.layers.hives import names
from linwin.layers.hives.header import NONE

NODE = struct.Struct("<2sHQBB2xIIIIIIIIIHHIIIIHH")
VALUE = struct.Struct("<2sHIIIH2x")

# Positions of a node's fields in its cell's content, for changing one alone.
WRITTEN, PARENT, SUBKEY_COUNT, SUBKEYS, VALUE_COUNT, VALUES = 4, 16, 20, 28, 36, 40
SECURITY, CLASS, LARGEST, CLASS_LENGTH = 44, 48, 52, 74
# Positions of a value's fields.
DATA_SIZE = 4

VOLATILE, ROOT, NO_DELETE, SYMBOLIC_LINK, COMPRESSED_NAME = 0x1, 0x4, 0x8, 0x10, 0x20
PREDEFINED = 0x40
"""The key has a handle in place of its number of values, which come from elsewhere (Perflib's do)."""
VALUE_COMPRESSED_NAME, VALUE_TOMBSTONE = 0x1, 0x2
INHERIT_CLASS, SEMANTICS = 0x80, 0x3
INLINE = 0x80000000
LONGEST_CLASS = 0xFFFE


class Lower(IntEnum):
    """What becomes of the same key in the hives below (LayerSemantics)."""

    MERGED = 0
    DELETED = 1
    NODE_REPLACED = 2
    TREE_REPLACED = 3


@dataclass(slots=True)
class KeyNode:
    """One ``nk`` record. The ``largest`` fields are bytes: subkey name, class, value name, value data."""

    name: str
    flags: int
    written: int
    layer_bits: int
    parent: int
    subkey_count: int
    subkeys: int
    value_count: int
    values: int
    security: int
    class_offset: int
    class_length: int
    user_flags: int
    largest: tuple[int, int, int, int]

    @property
    def lower(self) -> Lower:
        return Lower(self.layer_bits & SEMANTICS)

    @property
    def inherits_class(self) -> bool:
        return bool(self.layer_bits & INHERIT_CLASS)

    @classmethod
    def parse(cls, cell: bytes) -> KeyNode:
        """Raises Malformed."""
        if len(cell) < NODE.size or cell[:2] != b"nk":
            raise Malformed("there is no key where one should be")
        (_, flags, written, _, layer_bits, parent, subkey_count, _, subkeys, _, value_count, values,
         security, class_offset, largest_subkey, user_flags, largest_class, largest_name, largest_data,
         _, name_length, class_length) = NODE.unpack_from(cell)  # fmt: skip
        if NODE.size + name_length > len(cell):
            raise Malformed("the name of a key is longer than its cell")
        name = names.decode(cell[NODE.size : NODE.size + name_length], bool(flags & COMPRESSED_NAME))
        if flags & PREDEFINED:
            value_count, values = 0, NONE
        return cls(
            name=name,
            flags=flags,
            written=written,
            layer_bits=layer_bits,
            parent=parent,
            subkey_count=subkey_count,
            subkeys=subkeys,
            value_count=value_count,
            values=values,
            security=security,
            class_offset=class_offset if class_length else NONE,
            class_length=class_length,
            user_flags=user_flags,
            largest=(largest_subkey, largest_class, largest_name, largest_data),
        )

    def pack(self) -> bytes:
        name, compressed = names.encode(self.name)
        flags = self.flags & ~COMPRESSED_NAME | (COMPRESSED_NAME if compressed else 0)
        # fmt: off
        return NODE.pack(
            b"nk", flags, self.written, 0, self.layer_bits, self.parent, self.subkey_count, 0,
            self.subkeys, NONE, self.value_count, self.values, self.security, self.class_offset,
            self.largest[0], self.user_flags, self.largest[1], self.largest[2], self.largest[3], 0,
            len(name), self.class_length,
        ) + name
        # fmt: on


@dataclass(slots=True)
class ValueRecord:
    """One ``vk`` record. ``data`` is an offset, or the data itself when ``is_inline``."""

    name: str
    type: int
    size: int
    is_inline: bool
    data: int
    is_tombstone: bool = False

    @classmethod
    def parse(cls, cell: bytes) -> ValueRecord:
        """Raises Malformed."""
        if len(cell) < VALUE.size or cell[:2] != b"vk":
            raise Malformed("there is no value where one should be")
        _, name_length, size, data, type_, flags = VALUE.unpack_from(cell)
        if VALUE.size + name_length > len(cell):
            raise Malformed("the name of a value is longer than its cell")
        name = names.decode(cell[VALUE.size : VALUE.size + name_length], bool(flags & VALUE_COMPRESSED_NAME))
        is_inline = bool(size & INLINE)
        if is_inline and size & ~INLINE > 4:
            raise Malformed("a value claims to hold more than four bytes in itself")
        return cls(name, type_, size & ~INLINE, is_inline, data, bool(flags & VALUE_TOMBSTONE))

    def pack(self) -> bytes:
        name, compressed = names.encode(self.name)
        size = self.size | INLINE if self.is_inline else self.size
        flags = VALUE_COMPRESSED_NAME if compressed and name else 0
        if self.is_tombstone:
            flags |= VALUE_TOMBSTONE
        return VALUE.pack(b"vk", len(name), size, self.data, self.type, flags) + name
