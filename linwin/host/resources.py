"""What this host has left to give."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")


def available_memory(meminfo: Path = MEMINFO) -> int:
    """MiB that new work can use without pushing others out, free swap included (proc(5)).

    Not more than what the control groups around this process leave it.
    """
    kib = _kib(meminfo, "MemAvailable", "SwapFree")
    return min([kib // 1024, *(limit.left for limit in memory_limits())])


def total_memory(meminfo: Path = MEMINFO) -> int:
    """MiB that this host, or the control groups around this process, can hold at all, swap included."""
    return min([_kib(meminfo, "MemTotal", "SwapTotal") // 1024, *(limit.most for limit in memory_limits())])


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """A control group's limit of memory and what of it is left, in MiB."""

    most: int
    left: int


def memory_limits(
    membership: Path = Path("/proc/self/cgroup"), mount: Path = Path("/sys/fs/cgroup")
) -> list[MemoryLimit]:
    """The limits of all control groups that this process is in, of either version of them (cgroups(7)).

    Groups that are not visible here, as from within a container, limit somebody else's figures.
    """
    found = []
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, names = mount, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            root, names = (
                mount / "memory",
                (
                    "memory.limit_in_bytes",
                    "memory.usage_in_bytes",
                    "total_inactive_file",
                ),
            )
        else:
            continue
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if limit := _limit(folder, *names):
                found.append(limit)
            if folder == root:
                break
    return found


def _limit(group: Path, most_name: str, used_name: str, reclaimable_name: str) -> MemoryLimit | None:
    try:
        text = (group / most_name).read_text().strip()
        used = int((group / used_name).read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (FileNotFoundError, NotADirectoryError):
        return None
    most = None if text == "max" else int(text)
    if most is None or most >= _NO_LIMIT:
        return None
    left = most - used + int(statistics.get(reclaimable_name, 0))
    return MemoryLimit(most >> 20, max(left, 0) >> 20)


_NO_LIMIT = 1 << 60
"""Version 1 writes no limit as the largest multiple of a page."""


def _kib(meminfo: Path, *names: str) -> int:
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    return sum(int(fields[name].split()[0]) for name in names)


def first_closed_folder(path: Path, uid: int) -> Path | None:
    """The outermost folder on the way to ``path`` that ``uid`` may not enter, judged by its mode bits."""
    for folder in reversed(path.absolute().parents):
        status = folder.stat()
        bit = 0o100 if status.st_uid == uid else 0o010 if status.st_gid == uid else 0o001
        if not status.st_mode & bit:
            return folder
    return None


def device_group(device: Path) -> int:
    """The group that a device file is open to."""
    return os.stat(device).st_gid
