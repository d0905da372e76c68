"""What this host has left to give."""

from __future__ import annotations

import os
from pathlib import Path


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """MiB that new work can use without pushing others out, free swap included (proc(5))."""
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    kib = sum(int(fields[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    return kib // 1024


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
