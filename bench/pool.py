"""What a start takes until its program runs, with a guest that waits, beside a cold one.

    scripts/bench pool [--runs 5]

Takes a daemon with a pool (``[pool] size = 1`` in linwin.toml, docs/configuration.md).
"""

from __future__ import annotations

import argparse
import sys
import time

from figures import Figure, in_turn
from start import linwin, to_spawn, whole

TARGET = 1 / 20


def ready() -> bool:
    """Whether a guest waits."""
    told = next((line for line in linwin("info").splitlines() if line.startswith("  Pool: ")), None)
    if told is None:
        sys.exit(
            "the daemon has no pool: give it one with [pool] size = 1 in linwin.toml, and start it again"
        )
    return not told.startswith("  Pool: 0 ")


def pooled() -> float:
    """From the start of the command to the moment at which the entrypoint has been spawned."""
    while not ready():
        time.sleep(0.1)  # nothing tells that the pool is filled; this is not measured
    return to_spawn()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    ready()
    whole()  # the daemon runs, and its checkpoint is in memory
    mine, other = in_turn(runs, pooled, lambda: to_spawn("--cold"))
    name = "pooled start to spawn, against cold"
    figure = Figure(name, round(mine, 3), round(other, 3), "s", {"max": TARGET}, f"median of {runs}")
    print(figure.line(), flush=True)
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
