"""What a command costs: ``linwin ps`` against a running daemon, beside a Python that does nothing.

scripts/bench cli [--runs 31]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from figures import Figure, in_turn

TARGET = 6.0


def ps_beside_python(
    environment: Mapping[str, str], runs: int, *, name: str = "linwin ps", target: float | None = TARGET
) -> Figure:
    """``environment`` says which daemon is asked; it is started where none runs."""
    linwin = str(Path(sys.executable).parent / "linwin")

    def seconds(*words: str) -> float:
        start = time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=dict(environment))
        return time.monotonic() - start

    seconds(linwin, "ps")  # starts the daemon, and fills the file cache
    ours, bare = in_turn(runs, lambda: seconds(linwin, "ps"), lambda: seconds(sys.executable, "-c", "pass"))
    bound = {} if target is None else {"max": target}
    return Figure(name, round(ours, 4), round(bare, 4), "s", bound, f"median of {runs}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=31)
    figure = ps_beside_python(os.environ, parser.parse_args().runs)
    print(figure.line())
    sys.exit(not figure.met)


if __name__ == "__main__":
    main()
