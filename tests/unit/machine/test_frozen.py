"""The parts of a checkpoint: written, read back, sealed, and never believed when they changed."""

from __future__ import annotations

import io
import mmap
import os
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from linwin.machine import frozen
from linwin.machine.frozen import PAGE, Damaged, Frozen, Part

MEMORY = 4 << 20


@pytest.fixture
def ram() -> Iterator[int]:
    """RAM with pages at its ends, one alone, a long run, and pages that were zeroed."""
    file = frozen.empty_memory("test", MEMORY)
    noise = random.Random(1)
    for page, count in ((0, 1), (7, 1), (250, 20), (MEMORY // PAGE - 1, 1)):
        os.pwrite(file, noise.randbytes(count * PAGE), page * PAGE)
    os.pwrite(file, bytes(30 * PAGE), 600 * PAGE)
    yield file
    os.close(file)


def written(ram: int) -> tuple[bytes, Part]:
    target = io.BytesIO()
    part = frozen.write_ram(ram, target)
    assert part.size == len(target.getvalue())
    return target.getvalue(), part


def test_ram_comes_back_as_it_was_without_its_zeros(ram: int) -> None:
    data, part = written(ram)
    assert 23 * PAGE < part.size < 24 * PAGE
    read = frozen.read_ram(io.BytesIO(data), part, MEMORY)
    assert os.pread(read, MEMORY + 1, 0) == os.pread(ram, MEMORY, 0)
    assert os.fstat(read).st_blocks * 512 < 40 * PAGE
    os.close(read)


def test_empty_ram_is_no_bytes() -> None:
    file = frozen.empty_memory("test", MEMORY)
    data, part = written(file)
    os.close(file)
    assert data == b""
    read = frozen.read_ram(io.BytesIO(data), part, MEMORY)
    assert os.fstat(read).st_size == MEMORY
    os.close(read)


def test_nobody_can_change_sealed_memory(ram: int) -> None:
    data, part = written(ram)
    read = frozen.read_ram(io.BytesIO(data), part, MEMORY)
    writable = os.open(f"/proc/self/fd/{read}", os.O_RDWR)  # as QEMU 7.2 opens it
    with pytest.raises(PermissionError):
        os.pwrite(writable, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(writable, 0)
    with pytest.raises(PermissionError):
        mmap.mmap(writable, MEMORY, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    with mmap.mmap(writable, MEMORY, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as private:
        private[:4] = b"mine"
    assert os.pread(read, MEMORY, 0) == os.pread(ram, MEMORY, 0)
    os.close(writable)
    os.close(read)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda data: data[:-1], "a part of it is shorter than it was"),
        (lambda data: data[: len(data) // 2], "a part of it is shorter than it was"),
        (lambda data: b"", "a part of it is shorter than it was"),
        (lambda data: data + b"x", "its RAM is longer than it was"),
        (lambda data: data[:100] + b"?" + data[101:], "its RAM is not what was written"),
        (lambda data: b"\xff" * 16 + data[16:], "its RAM has an extent that does not fit"),
        (lambda data: bytes(16) + data[16:], "its RAM has an extent that does not fit"),
    ],
)
def test_ram_that_changed_is_refused(ram: int, change: object, why: str) -> None:
    data, part = written(ram)
    assert callable(change)
    with pytest.raises(Damaged) as caught:
        frozen.read_ram(io.BytesIO(change(data)), part, MEMORY)
    assert str(caught.value) == why


def test_ram_of_a_larger_guest_is_refused(ram: int) -> None:
    data, part = written(ram)
    with pytest.raises(Damaged, match=r"^its RAM has an extent that does not fit$"):
        frozen.read_ram(io.BytesIO(data), part, MEMORY // 2)


def test_a_record_that_ends_in_a_header_is_refused(ram: int) -> None:
    data, part = written(ram)
    with pytest.raises(Damaged, match=r"^its RAM ends in the middle of an extent$"):
        frozen.read_ram(io.BytesIO(data + b"x" * 5), replace(part, size=part.size + 5), MEMORY)


def test_state_is_read_from_its_beginning_by_every_clone() -> None:
    file = frozen.empty_memory("test")
    os.write(file, b"device state")
    target = io.BytesIO()
    part = frozen.write_state(file, target)
    os.close(file)
    whole = Frozen(frozen.empty_memory("test"), frozen.read_state(io.BytesIO(target.getvalue()), part))
    other = whole.duplicate()
    whole.close()
    whole.close()
    for _ in range(2):
        reader = other.open_state()
        assert os.read(reader, 100) == b"device state"
        os.close(reader)
    other.close()
    with pytest.raises(Damaged, match=r"^its device state is not what was written$"):
        frozen.read_state(io.BytesIO(b"device_state"), part)
