"""Throughput of a program's stdout, beside qemu-ga's and a raw copy's in the same guest.

One program prints the bytes for all three. qemu-ga's way is guest-exec with
``capture-output``, which keeps 16 MiB at most. The raw copy moves what the program
prints from a pipe to a virtio-serial port and does nothing else: no frames, no
credit, no acknowledgement, and a write that spins until the host has taken it.

    scripts/bench stream [--runs 7]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable

from figures import Figure, in_turn
from shared_guest import SharedGuest, shared_guest

BYTES = 64 << 20
CAPTURED = 4 << 20
LEAST_TIMES_CAPTURED = 10.0
LEAST_OF_RAW = 0.7


def rate(count: int, work: Callable[[], int]) -> float:
    """Bytes a second."""
    start = time.monotonic()
    assert work() == count
    return count / (time.monotonic() - start)


def measure(guest: SharedGuest, runs: int) -> list[Figure]:
    def ours() -> float:
        return rate(BYTES, lambda: guest.run("/bin/print", str(BYTES))[1])

    def captured() -> float:
        return rate(CAPTURED, lambda: guest.guest_exec("/bin/print", str(CAPTURED), capture=True)[1])

    def raw() -> float:
        return rate(BYTES, lambda: guest.raw_bytes(BYTES))

    in_turn(1, ours, captured, raw)
    mine, theirs, bare = (round(one / 1e6, 1) for one in in_turn(runs, ours, captured, raw))
    note = f"medians of {runs}; {BYTES >> 20} MiB, by qemu-ga {CAPTURED >> 20}"
    return [
        Figure("stdout, beside qemu-ga's", mine, theirs, "MB/s", {"min": LEAST_TIMES_CAPTURED}, note),
        Figure("stdout, beside a raw copy", mine, bare, "MB/s", {"min": LEAST_OF_RAW}, note),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    with asyncio.Runner() as runner, shared_guest(runner) as guest:
        figures = measure(guest, runs)
    for figure in figures:
        print(figure.line())
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
