"""What a daemon costs that has nothing to do: its own CPU and memory with 20 running containers.

scripts/bench idle [--containers 20] [--seconds 30]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from daemon import DaemonProcess
from figures import Figure

IMAGE = "microsoft/nanoserver"
# Busy once a second in the guest, and says nothing to the host.
STAY = ("cmd", "/c", "ping -n 100000 127.0.0.1 >nul")
SETTLE_SECONDS = 15
"""Longer than the 10 s after which the host asks a silent guest for a sign of life."""
MOST_PERCENT = 1.0
MOST_MB = 100


def linwin(*words: str) -> str:
    return subprocess.run(["linwin", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def measure(seconds: int, containers: int) -> list[Figure]:
    daemon = DaemonProcess.running()
    time.sleep(SETTLE_SECONDS)
    start, before = time.monotonic(), daemon.cpu_seconds()
    time.sleep(seconds)
    percent = 100 * (daemon.cpu_seconds() - before) / (time.monotonic() - start)
    note = f"{containers} running containers, {seconds} s"
    return [
        Figure("CPU of an idle daemon", round(percent, 2), None, "% of a core", {"max": MOST_PERCENT}, note),
        Figure("memory of an idle daemon", daemon.pss() // 1_000_000, None, "MB", {"max": MOST_MB}, note),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--containers", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    linwin("checkpoint", "create", "-q")
    names: list[str] = []
    try:
        for _ in range(options.containers):
            names.append(linwin("run", "-d", IMAGE, *STAY).strip())
        figures = measure(options.seconds, options.containers)
    finally:
        if names:
            linwin("rm", "-f", *names)
    for figure in figures:
        print(figure.line())
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
