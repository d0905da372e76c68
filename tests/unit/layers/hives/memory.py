"""A hive's bytes in memory, which remember what of them was changed."""

from __future__ import annotations

from collections.abc import Iterable

from linwin.layers.hives import HiveEditor, Protection, apply, read_delta
from tests.unit.layers.hives.hive_writer import upper


class Memory:
    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.pages: set[int] = set()

    @property
    def size(self) -> int:
        return len(self.data)

    def read(self, at: int, size: int) -> bytes:
        assert at >= 0
        assert at + size <= len(self.data)
        return bytes(self.data[at : at + size])

    def write(self, at: int, data: bytes) -> None:
        assert at <= len(self.data)
        self.data[at : at + len(data)] = data
        self.pages |= set(range(at >> 12, (at + len(data) + 4095) >> 12))


def merged(base: bytes, delta: bytes, protected: Iterable[tuple[str, ...]] = ()) -> bytes:
    """The hive that a delta makes of another."""
    file = Memory(base)
    editor = HiveEditor(file, upper)
    apply(read_delta(Memory(delta), upper), editor, Protection(protected, upper))
    editor.finish()
    return bytes(file.data)
