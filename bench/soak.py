"""What many runs leave behind, and many execs in one guest: nothing, and no memory that grows.

Each run is the ``linwin run --rm`` that a user types. Looked for afterwards, beside
what was there before: containers, files under LINWIN_ROOT, machines, network
interfaces, rows, and the daemon's children and open files. Execs are a static Linux
program's in a guest of shared_guest.py; its agent is counted through /proc.

    scripts/bench soak [--runs 1000] [--execs 5000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from daemon import ROOT, DaemonProcess
from figures import Figure
from shared_guest import SharedGuest, shared_guest

IMAGE = "microsoft/nanoserver"
WARM_UP = 20
GROWING = ("daemon.log", "state.db", "state.db-wal", "state.db-shm")
"""Files that are written to for as long as there is a daemon."""

MOST_KIB_A_RUN = 16
MOST_BYTES_AN_EXEC = 512
WARM_UP_EXECS = 1000
"""An agent remembers 256 ended processes, and its collector settles some time after."""

SPARE_THREADS = 3
"""The Go runtime starts one where all others wait in system calls, and keeps it."""


def run(number: int) -> None:
    words = ["linwin", "run", "--rm", IMAGE, "cmd", "/c", f"echo {number}& exit 7"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (7, [str(number)]), done.stderr


def rows() -> dict[str, int]:
    """How many there are in each table."""
    with closing(sqlite3.connect(f"file:{ROOT / 'state.db'}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: database.execute(f'SELECT count(*) FROM "{t}"').fetchone()[0] for t in tables}


def machines() -> int:
    """QEMUs of this root, by what they were started with."""
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            found += b"qemu-system" in line.partition(b"\0")[0] and os.fsencode(ROOT) in line
    return found


def census(daemon: DaemonProcess) -> set[str]:
    """Everything that a run must not leave, by name."""
    found = {str(path) for path in ROOT.rglob("*") if path.name not in GROWING}
    found |= {f"interface {name}" for name in os.listdir("/sys/class/net")}
    counts = {"machines": machines(), "children": daemon.children(), "open files": daemon.open_files()}
    for kind, count in (counts | {f"rows of {table}": n for table, n in rows().items()}).items():
        found |= {f"{kind}: {number}" for number in range(count)}
    return found


def many_runs(runs: int) -> list[Figure]:
    for number in range(WARM_UP):
        run(number)
    daemon = DaemonProcess.running()
    before, memory = census(daemon), daemon.rss()
    for number in range(runs):
        run(number)
    left = sorted(census(daemon) - before)
    growth = (daemon.rss() - memory) / runs / 1024
    return [
        Figure(f"left by {runs} runs", len(left), None, "things", {"max": 0}, "; ".join(left[:5])),
        Figure("daemon's growth", round(growth, 2), None, "KiB a run", {"max": MOST_KIB_A_RUN}),
    ]


def calm(guest: SharedGuest) -> dict[str, int]:
    """A census while nothing is being started; the one who counts was, a moment ago."""
    counts = [guest.census() for _ in range(5)]
    return {kind: min(count[kind] for count in counts) for kind in counts[0]}


def many_execs(guest: SharedGuest, execs: int) -> list[Figure]:
    for _ in range(WARM_UP_EXECS):
        guest.run("/bin/leave")
    before = calm(guest)
    for number in range(execs):
        code = number % 256
        assert guest.run("/bin/leave", str(code)) == (code, 0)
    after = calm(guest)
    grown = {kind: after[kind] - before[kind] for kind in ("files", "threads", "groups")}
    grown["threads"] -= SPARE_THREADS
    left = sum(max(0, count) for count in grown.values())
    memory = (after["memory"] - before["memory"]) * 1024 / execs
    note = ", ".join(f"{after[kind]} {kind}" for kind in grown)
    return [
        Figure(f"left by {execs} execs", left, None, "things", {"max": 0}, note),
        Figure("agent's growth", round(memory, 1), None, "bytes an exec", {"max": MOST_BYTES_AN_EXEC}),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--execs", type=int, default=5000)
    options = parser.parse_args()
    with asyncio.Runner() as runner, shared_guest(runner) as guest:
        figures = many_execs(guest, options.execs)
    figures += many_runs(options.runs)
    for figure in figures:
        print(figure.line())
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
