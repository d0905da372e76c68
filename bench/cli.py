"""What a command costs: ``linwin ps`` against a running daemon, beside a Python that does nothing.

scripts/bench cli [--runs 31]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from figures import Figure, in_turn

TARGET = 6.0


def seconds(*words: str) -> float:
    start = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=31)
    runs = parser.parse_args().runs
    linwin = str(Path(sys.executable).parent / "linwin")
    seconds(linwin, "ps")  # starts the daemon where none runs, and fills the file cache
    ours, bare = in_turn(runs, lambda: seconds(linwin, "ps"), lambda: seconds(sys.executable, "-c", "pass"))
    figure = Figure("linwin ps", round(ours, 4), round(bare, 4), "s", {"max": TARGET}, f"median of {runs}")
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
