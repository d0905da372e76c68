"""Memory of idle guests, restored and cold: what the host has less of for each of their QEMUs.

PSS counts a page that several processes share once, divided among them
(proc(5), smaps_rollup).

    scripts/bench memory [--guests 10]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from figures import Figure

IMAGE = "microsoft/nanoserver"
STAY = ("cmd", "/c", "echo started & ping -n 100000 127.0.0.1 >nul")
TARGET = 0.35
SIZE = "384m"


def linwin(*words: str) -> str:
    return subprocess.run(["linwin", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def pss(pid: int) -> int:
    """Bytes."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def idle(guests: int, *options: str) -> int:
    """Bytes of so many guests whose program has printed a line and waits."""
    names: list[str] = []
    try:
        for _ in range(guests):
            names.append(linwin("run", "-d", "--memory", SIZE, *options, IMAGE, *STAY).strip())
            with subprocess.Popen(["linwin", "logs", "-f", names[-1]], stdout=subprocess.PIPE) as logs:
                assert logs.stdout is not None
                assert logs.stdout.readline().startswith(b"started")
                logs.terminate()
        shown = json.loads(linwin("inspect", *names))
        assert {one["Linwin"]["Boot"] for one in shown} == {"cold" if options else "restored"}
        return sum(pss(one["State"]["Pid"]) for one in shown)
    finally:
        if names:
            linwin("rm", "-f", *names)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--guests", type=int, default=10)
    guests = parser.parse_args().guests
    linwin("checkpoint", "create", "-q", "--memory", SIZE)
    restored, cold = idle(guests), idle(guests, "--cold")
    note = f"PSS of {guests} idle guests of {SIZE}, QEMU included"
    figure = Figure("memory of idle clones", restored >> 20, cold >> 20, "MiB", {"max": TARGET}, note)
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
