"""An exec's round trip, from its request to its exit code, beside qemu-ga's in the same guest.

Both start the same static Linux program, which only exits. qemu-ga is asked for
its end at once and then every 10 ms: it tells no other way.

    scripts/bench exec [--runs 101]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from figures import Figure, in_turn
from shared_guest import SharedGuest, shared_guest

PROGRAM = "/bin/leave"
CODE = 3
TARGET = 0.6
WARM_UP = 10


def measure(guest: SharedGuest, runs: int) -> Figure:
    def ours() -> float:
        start = time.monotonic()
        assert guest.run(PROGRAM, str(CODE)) == (CODE, 0)
        return time.monotonic() - start

    def peer() -> float:
        start = time.monotonic()
        assert guest.guest_exec(PROGRAM, str(CODE)) == (CODE, 0)
        return time.monotonic() - start

    in_turn(WARM_UP, ours, peer)  # an emulator meets all code for the first time once
    mine, theirs = in_turn(runs, ours, peer)
    note = f"median of {runs}; qemu-ga polled every 10 ms"
    return Figure("exec to exit code", round(mine, 5), round(theirs, 5), "s", {"max": TARGET}, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=101)
    runs = parser.parse_args().runs
    with asyncio.Runner() as runner, shared_guest(runner) as guest:
        figure = measure(guest, runs)
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
