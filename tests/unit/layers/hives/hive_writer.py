"""Writes registry hives from nothing, sharing no code with the reader that is tested.

Cells are laid out one after the other, in bins as large as it takes.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field

NONE = 0xFFFFFFFF
REG_NONE, REG_SZ, REG_EXPAND_SZ, REG_BINARY, REG_DWORD, REG_LINK, REG_MULTI_SZ, REG_QWORD = (
    0,
    1,
    2,
    3,
    4,
    6,
    7,
    11,
)
MERGE, TOMBSTONE, SUPERSEDE_NODE, SUPERSEDE_TREE = 0, 1, 2, 3
LINK = 0x10
WHEN = 132_000_000_000_000_000

ADMINISTRATORS = bytes.fromhex("01020000000000052000000020020000")
USERS = bytes.fromhex("01020000000000052000000021020000")


def descriptor(sid: bytes = ADMINISTRATORS, mask: int = 0xF003F) -> bytes:
    """O:BAG:BAD:(A;CI;mask;;;sid)"""
    ace = struct.pack("<BBHI", 0, 2, 8 + len(sid), mask) + sid
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(ace), 1, 0) + ace
    head = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, 36, 0, 52)
    return head + ADMINISTRATORS + ADMINISTRATORS + acl


PLAIN, OTHER = descriptor(), descriptor(USERS, 0x20019)


class Deleted:
    """A value's tombstone."""


Data = tuple[int, bytes] | type[Deleted]


@dataclass
class Key:
    name: str
    values: dict[str, Data] = field(default_factory=dict)
    subkeys: list[Key] = field(default_factory=list)
    semantics: int = MERGE
    inherits_class: bool = False
    class_name: str = ""
    security: bytes = PLAIN
    written: int = WHEN
    flags: int = 0


def text(value: str) -> bytes:
    return (value + "\0").encode("utf-16-le")


def upper(name: str) -> str:
    """Case as Windows folds it, near enough for tests: a letter at a time."""
    return "".join(c.upper() if len(c.upper()) == 1 and c < "\uffff" else c for c in name)


class HiveWriter:
    def __init__(self, *, minor: int = 5, leaf: str = "lh", per_leaf: int = 0, layered: bool = False) -> None:
        """``leaf`` is the kind of list; with ``per_leaf`` they are cut up below an ``ri``."""
        self.minor, self.leaf, self.per_leaf, self.layered = minor, leaf.encode(), per_leaf, layered
        self.bins: list[bytearray] = []
        self.starts: list[int] = []
        self.securities: dict[bytes, tuple[int, int]] = {}

    def write(self, root: Key) -> bytes:
        offset = self.key(root, NONE, is_root=True)
        self.link_securities()
        body = b"".join(self.closed(data) for data in self.bins)
        head = bytearray(4096)
        struct.pack_into(
            "<4sIIQIIIIIII", head, 0, b"regf", 7, 7, WHEN, 1, self.minor, 0, 1, offset, len(body), 1
        )
        head[48:60] = "test".encode("utf-16-le").ljust(12, b"\0")
        struct.pack_into("<I", head, 0x90, 2 if self.layered else 0)
        return seal(bytes(head) + body)

    # ---- cells ----------------------------------------------------------------

    def cell(self, content: bytes) -> int:
        size = (len(content) + 4 + 7) & ~7
        if not self.bins or len(self.bins[-1]) + size > self.room:
            start = self.starts[-1] + self.span(self.bins[-1]) if self.bins else 0
            self.starts.append(start)
            self.bins.append(bytearray(struct.pack("<4sII20x", b"hbin", start, 0)))
            self.room = max(4096, (32 + size + 4095) & ~4095)
        start = self.starts[-1] + len(self.bins[-1])
        self.bins[-1] += struct.pack("<i", -size) + content.ljust(size - 4, b"\0")
        return start

    @staticmethod
    def span(data: bytearray) -> int:
        return (len(data) + 4095) & ~4095

    def closed(self, data: bytearray) -> bytes:
        size = self.span(data)
        struct.pack_into("<I", data, 8, size)
        if len(data) < size:
            data += struct.pack("<i", size - len(data))
        return bytes(data.ljust(size, b"\0"))

    def patch(self, offset: int, position: int, data: bytes) -> None:
        index = bisect_right(self.starts, offset) - 1
        at = offset - self.starts[index] + 4 + position
        self.bins[index][at : at + len(data)] = data

    # ---- records --------------------------------------------------------------

    def key(self, key: Key, parent: int, *, is_root: bool = False) -> int:
        name, compressed = stored(key.name)
        flags = key.flags | (0x20 if compressed else 0) | (0x0C if is_root else 0)
        offset = self.cell(bytes(76) + name)
        class_data = key.class_name.encode("utf-16-le")
        class_offset = self.cell(class_data) if class_data else NONE
        values = [self.value(name, data) for name, data in key.values.items()]
        value_list = self.cell(struct.pack(f"<{len(values)}I", *values)) if values else NONE
        subkeys = [(one.name, self.key(one, offset)) for one in sorted(key.subkeys, key=sort_key)]
        largest = (
            max((len(one.name.encode("utf-16-le")) for one in key.subkeys), default=0),
            max((2 * len(one.class_name) for one in key.subkeys), default=0),
            max((len(name.encode("utf-16-le")) for name in key.values), default=0),
            max((len(data[1]) for data in key.values.values() if isinstance(data, tuple)), default=0),
        )
        bits = key.semantics | (0x80 if key.inherits_class else 0)
        record = struct.pack(
            "<2sHQBBHIIIIIIIIIIIIIIHH",
            *(b"nk", flags, key.written, 0, bits, 0, parent if not is_root else 0),
            *(len(subkeys), 0, self.lists(subkeys), NONE, len(values), value_list),
            *(self.security(key.security), class_offset, *largest, 0, len(name), len(class_data)),
        )
        self.patch(offset, 0, record)
        return offset

    def lists(self, subkeys: list[tuple[str, int]]) -> int:
        if not subkeys:
            return NONE
        if not self.per_leaf:
            return self.list(subkeys)
        pieces = [subkeys[at : at + self.per_leaf] for at in range(0, len(subkeys), self.per_leaf)]
        leaves = [self.list(piece) for piece in pieces]
        return self.cell(struct.pack(f"<2sH{len(leaves)}I", b"ri", len(leaves), *leaves))

    def list(self, subkeys: list[tuple[str, int]]) -> int:
        entries = b""
        for name, offset in subkeys:
            entries += struct.pack("<I", offset)
            if self.leaf == b"lf":
                entries += (name[:4].encode() if name[:4].isascii() else b"").ljust(4, b"\0")
            elif self.leaf == b"lh":
                entries += struct.pack("<I", hash_of(name))
        return self.cell(struct.pack("<2sH", self.leaf, len(subkeys)) + entries)

    def value(self, name: str, data: Data) -> int:
        encoded, compressed = stored(name)
        flags = 1 if compressed and name else 0
        if not isinstance(data, tuple):
            return self.cell(
                struct.pack("<2sHIIIHH", b"vk", len(encoded), 0, NONE, 0, flags | 2, 0) + encoded
            )
        kind, content = data
        if len(content) <= 4:
            size, place = len(content) | 0x80000000, int.from_bytes(content, "little")
        elif len(content) > 16344 and self.minor >= 4:
            size, place = len(content), self.big_data(content)
        else:
            size, place = len(content), self.cell(content)
        return self.cell(struct.pack("<2sHIIIHH", b"vk", len(encoded), size, place, kind, flags, 0) + encoded)

    def big_data(self, content: bytes) -> int:
        pieces = [self.cell(content[at : at + 16344]) for at in range(0, len(content), 16344)]
        segments = self.cell(struct.pack(f"<{len(pieces)}I", *pieces))
        return self.cell(struct.pack("<2sHI", b"db", len(pieces), segments))

    def security(self, data: bytes) -> int:
        offset, count = self.securities.get(data, (0, 0))
        if not count:
            offset = self.cell(struct.pack("<2sHIIII", b"sk", 0, 0, 0, 0, len(data)) + data)
        self.securities[data] = offset, count + 1
        return offset

    def link_securities(self) -> None:
        ring = list(self.securities.values())
        for at, (offset, count) in enumerate(ring):
            after, before = ring[(at + 1) % len(ring)][0], ring[at - 1][0]
            self.patch(offset, 4, struct.pack("<III", after, before, count))


def stored(name: str) -> tuple[bytes, bool]:
    try:
        return name.encode("latin-1"), True
    except UnicodeEncodeError:
        return name.encode("utf-16-le"), False


def sort_key(key: Key) -> bytes:
    return upper(key.name).encode("utf-16-be")


def hash_of(name: str) -> int:
    value = 0
    data = upper(name).encode("utf-16-le")
    for unit in struct.unpack(f"<{len(data) // 2}H", data):
        value = (value * 37 + unit) % (1 << 32)
    return value


def seal(hive: bytes) -> bytes:
    """The hive with a checksum that is right."""
    value = 0
    for word in struct.unpack("<127I", hive[:508]):
        value ^= word
    value = 1 if value == 0 else 0xFFFFFFFE if value == 0xFFFFFFFF else value
    return hive[:508] + struct.pack("<I", value) + hive[512:]
