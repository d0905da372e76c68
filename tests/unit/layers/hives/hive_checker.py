"""Checks a hive's every cell, and reads it with dissect.regf, which shares no code with the editor."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field

from dissect.regf.regf import RegistryHive

from tests.unit.layers.hives.hive_writer import hash_of, upper

NONE = 0xFFFFFFFF


@dataclass
class Tree:
    """A key as it is found: values by folded name, with the name as written, type and data."""

    name: str
    class_name: str
    security: bytes
    written: int
    flags: int
    values: dict[str, tuple[str, int, bytes]] = field(default_factory=dict)
    children: dict[str, Tree] = field(default_factory=dict)

    def __getitem__(self, path: str) -> Tree:
        """A key by its path, names joined by backslashes."""
        node = self
        for name in path.split("\\"):
            node = node.children[upper(name)]
        return node

    def __contains__(self, path: str) -> bool:
        try:
            self[path]
        except KeyError:
            return False
        return True

    def data(self, name: str) -> bytes:
        return self.values[upper(name)][2]


def read(hive: bytes) -> Tree:
    """The tree of a hive, whose structure is checked first."""
    Checker(hive).check()
    opened = RegistryHive(io.BytesIO(hive))
    assert not opened.in_transaction
    return walk(opened, opened.root())


def walk(hive: RegistryHive, node: object) -> Tree:
    record = node.cell
    security = hive.cell_data(record.Security)
    (length,) = struct.unpack_from("<I", security, 16)
    tree = Tree(
        node.name, node.class_name or "", security[20 : 20 + length], record.LastWriteTime, int(record.Flags)
    )
    for value in node.values():
        name = "" if value.cell.NameLength == 0 else value.name
        tree.values[upper(name)] = (name, int(value.cell.Type), value.data)
    for child in node.subkeys():
        tree.children[upper(child.name)] = walk(hive, child)
    return tree


class Checker:
    """Every cell in use is referred to by exactly one other, security descriptors by all their keys."""

    def __init__(self, hive: bytes) -> None:
        self.hive = hive
        self.cells: dict[int, int] = {}
        self.free = 0
        self.seen: dict[int, str] = {}
        self.users: dict[int, int] = {}

    def check(self) -> None:
        self.check_header()
        self.scan()
        root = struct.unpack_from("<I", self.hive, 36)[0]
        self.key(root, None)
        for offset, users in self.users.items():
            self.claim(offset, "sk")
            assert struct.unpack_from("<I", self.content(offset), 12)[0] == users, (
                f"references of {offset:#x}"
            )
        self.ring()
        assert set(self.cells) == set(self.seen), "cells that nothing refers to"

    def check_header(self) -> None:
        assert self.hive[:4] == b"regf"
        first, second = struct.unpack_from("<II", self.hive, 4)
        assert first == second
        value = 0
        for word in struct.unpack("<127I", self.hive[:508]):
            value ^= word
        assert struct.unpack_from("<I", self.hive, 508)[0] == {0: 1, NONE: NONE - 1}.get(value, value)

    def scan(self) -> None:
        (size,) = struct.unpack_from("<I", self.hive, 40)
        assert size <= len(self.hive) - 4096
        start = 0
        while start < size:
            signature, position, length = struct.unpack_from("<4sII", self.hive, 4096 + start)
            assert (signature, position, length % 4096) == (b"hbin", start, 0)
            at = start + 32
            while at < start + length:
                (cell,) = struct.unpack_from("<i", self.hive, 4096 + at)
                assert cell % 8 == 0
                assert abs(cell) >= 8
                if cell < 0:
                    self.cells[at] = -cell
                else:
                    self.free += cell
                at += abs(cell)
            assert at == start + length
            start += length
        assert start == size

    def content(self, offset: int) -> bytes:
        return self.hive[4096 + offset + 4 : 4096 + offset + self.cells[offset]]

    def claim(self, offset: int, what: str) -> bytes:
        assert offset not in self.seen, f"{offset:#x} is {self.seen.get(offset)} and {what}"
        self.seen[offset] = what
        return self.content(offset)

    def key(self, offset: int, parent: int | None) -> tuple[str, int]:
        """Check a key and all below it; its name and the length of its class."""
        data = self.claim(offset, "nk")
        assert data[:2] == b"nk"
        flags = struct.unpack_from("<H", data, 2)[0]
        above, count, _, lists = struct.unpack_from("<IIII", data, 16)
        values, value_list, security, class_offset = struct.unpack_from("<IIII", data, 36)
        largest = struct.unpack_from("<HHIII", data, 52)
        length, class_length = struct.unpack_from("<HH", data, 72)
        assert parent is None or above == parent
        name = data[76 : 76 + length].decode("latin-1" if flags & 0x20 else "utf-16-le")
        self.users[security] = self.users.get(security, 0) + 1
        if class_length:
            assert len(self.claim(class_offset, "class")) >= class_length
        below = [self.key(one, offset) for one in self.subkeys(count, lists)]
        names = [one for one, _ in below]
        assert max((length for _, length in below), default=0) <= largest[2]
        assert [order(one) for one in names] == sorted({order(one) for one in names})
        assert max((len(one.encode("utf-16-le")) for one in names), default=0) <= largest[0]
        if values:
            listed = self.claim(value_list, "values")
            for index in range(values):
                self.value(struct.unpack_from("<I", listed, 4 * index)[0], largest)
        else:
            assert largest[3:] == (0, 0)
        return name, class_length

    def subkeys(self, count: int, lists: int) -> list[int]:
        if not count:
            assert lists == NONE
            return []
        top = self.claim(lists, "list")
        kind, elements = struct.unpack_from("<2sH", top)
        if kind != b"ri":
            assert elements == count
            return self.leaf(top)
        found = []
        for offset in struct.unpack_from(f"<{elements}I", top, 4):
            found += self.leaf(self.claim(offset, "leaf"))
        assert len(found) == count
        return found

    def leaf(self, data: bytes) -> list[int]:
        kind, count = struct.unpack_from("<2sH", data)
        assert count
        if kind == b"li":
            return list(struct.unpack_from(f"<{count}I", data, 4))
        found = []
        for index in range(count):
            offset, hint = struct.unpack_from("<I4s", data, 4 + 8 * index)
            found.append(offset)
            record = self.content(offset)
            flags, length = struct.unpack_from("<H", record, 2)[0], struct.unpack_from("<H", record, 72)[0]
            name = record[76 : 76 + length].decode("latin-1" if flags & 0x20 else "utf-16-le")
            if kind == b"lh":
                assert hint == struct.pack("<I", hash_of(name))
            else:
                assert kind == b"lf"
                assert hint == (name[:4].encode() if name[:4].isascii() else b"").ljust(4, b"\0")
        return found

    def value(self, offset: int, largest: tuple[int, ...]) -> None:
        data = self.claim(offset, "vk")
        assert data[:2] == b"vk"
        length, size, place = struct.unpack_from("<HII", data, 2)
        is_inline, size = size >> 31, size & 0x7FFFFFFF
        assert size <= largest[4]
        assert length <= largest[3]
        if is_inline or not size:
            assert size <= 4
        elif size > 16344 and struct.unpack_from("<I", self.hive, 24)[0] >= 4:
            _, count, segments = struct.unpack_from("<2sHI", self.claim(place, "db"))
            listed = self.claim(segments, "segments")
            assert count == (size + 16343) // 16344
            for index in range(count):
                self.claim(struct.unpack_from("<I", listed, 4 * index)[0], "segment")
        else:
            assert len(self.claim(place, "data")) >= size

    def ring(self) -> None:
        start = next(iter(self.users))
        walked, offset = [], start
        while offset not in walked:
            walked.append(offset)
            after = struct.unpack_from("<I", self.content(offset), 4)[0]
            assert struct.unpack_from("<I", self.content(after), 8)[0] == offset
            offset = after
        assert offset == start
        assert set(walked) == set(self.users)


def order(name: str) -> bytes:
    return upper(name).encode("utf-16-be")
