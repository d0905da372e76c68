"""Files appear whole or not at all; folders and memory are judged as the kernel does."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from linwin.host.files import tail, write_atomically
from linwin.host.resources import (
    MemoryLimit,
    available_memory,
    first_closed_folder,
    memory_limits,
    total_memory,
)


def test_a_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "record"
    path.write_bytes(b"old")
    write_atomically(path, b"new", mode=0o644)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["record"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "record"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["record"]


def test_the_tail_is_bounded_and_of_a_missing_file_empty(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"0123456789")
    assert tail(tmp_path / "log", 4) == b"6789"
    assert tail(tmp_path / "log", 40) == b"0123456789"
    assert tail(tmp_path / "none", 4) == b""


def test_available_memory_counts_what_can_be_reclaimed_and_swap(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemFree: 1024 kB\nMemAvailable: 2097152 kB\nSwapFree: 1048576 kB\n")
    assert available_memory(meminfo) == 3072
    assert available_memory() > 0


def test_the_first_closed_folder_is_the_outermost() -> None:
    with tempfile.TemporaryDirectory(prefix="linwin-host-") as name:
        closed = Path(name) / "closed"
        inner = closed / "inner"
        inner.mkdir(parents=True)
        Path(name).chmod(0o711)
        closed.chmod(0o700)
        inner.chmod(0o700)
        assert first_closed_folder(inner / "file", 61234) == closed
        closed.chmod(0o711)
        assert first_closed_folder(inner / "file", 61234) == inner
        assert first_closed_folder(inner / "file", inner.stat().st_uid) is None
        inner.chmod(0o711)
        assert first_closed_folder(inner / "file", 61234) is None


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{content}\n")


def test_control_groups_limit_memory(tmp_path: Path) -> None:
    """Of version 2: a limit holds for all below it, and what can be reclaimed counts as left."""
    membership, mount = tmp_path / "cgroup", tmp_path / "mount"
    membership.write_text("0::/outer/inner\n")
    statistics = f"anon 5\ninactive_file {10 << 20}"
    group(mount / "outer", memory_max=100 << 20, memory_current=60 << 20, memory_stat=statistics)
    group(mount / "outer/inner", memory_max="max", memory_current=9, memory_stat=statistics)
    assert memory_limits(membership, mount) == [MemoryLimit(100, 50)]


def test_control_groups_of_version_1(tmp_path: Path) -> None:
    membership, mount = tmp_path / "cgroup", tmp_path / "mount"
    membership.write_text("2:cpu:/\n4:memory:/a\n9:name=systemd:/a\n")
    for folder, most in ((mount / "memory/a", 64 << 20), (mount / "memory", 9223372036854771712)):
        group(folder, memory_stat="total_inactive_file 0")
        (folder / "memory.limit_in_bytes").write_text(f"{most}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{80 << 20}\n")
    assert memory_limits(membership, mount) == [MemoryLimit(64, 0)]


def test_control_groups_that_are_not_visible_limit_nothing(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("0::/../../elsewhere\n")
    assert memory_limits(membership, tmp_path / "mount") == []


def test_the_total_is_not_less_than_what_is_available() -> None:
    assert total_memory() >= available_memory()
