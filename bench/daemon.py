"""The daemon as the kernel sees it: what it holds and what it uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("LINWIN_ROOT", "/var/lib/linwin"))
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class DaemonProcess:
    """One process, by its folder in /proc (proc(5))."""

    proc: Path

    @classmethod
    def running(cls) -> DaemonProcess:
        """The daemon of LINWIN_ROOT."""
        return cls(Path("/proc", (ROOT / "daemon.pid").read_text().strip()))

    def cpu_seconds(self) -> float:
        """User and system time, of the process alone."""
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def pss(self) -> int:
        """Bytes of memory, pages that it shares with others divided among them."""
        return self._kilobytes("smaps_rollup", "Pss:")

    def rss(self) -> int:
        """Bytes of memory."""
        return self._kilobytes("status", "VmRSS:")

    def open_files(self) -> int:
        return len(os.listdir(self.proc / "fd"))

    def children(self) -> int:
        """Processes that it started and has not waited for, or that still run."""
        tasks = (self.proc / "task").iterdir()
        return sum(len((task / "children").read_text().split()) for task in tasks)

    def _kilobytes(self, file: str, name: str) -> int:
        lines = (self.proc / file).read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
