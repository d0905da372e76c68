"""Builds: one that is all cache, and what a RUN costs beside a run of the same command.

All are commands as a user types them, until they return. A RUN is a container that is created, restored,
run and committed, and its layer is made a disk for the next step; ``linwin commit`` does the latter
half alone. So what is compared is a RUN without a commit's time, and a ``linwin run --rm``.

    scripts/bench build [--runs 5] [--steps 10]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from figures import Figure, in_turn

IMAGE = "microsoft/nanoserver"
COMMAND = ("cmd", "/c", "exit 0")
CACHED_TARGET = 1.0
RUN_TARGET = 1.5
MEMORY = "/dev/shm"


def linwin(*words: str) -> str:
    return subprocess.run(["linwin", *words], check=True, capture_output=True, text=True).stdout


def taken(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


@contextmanager
def context(*lines: str) -> Iterator[str]:
    """A folder with a Dockerfile and a file to copy."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        Path(name, "Dockerfile").write_text("\n".join(("# escape=`", f"FROM {IMAGE}", *lines)) + "\n")
        Path(name, "file.txt").write_text("content")
        yield name


def cached(runs: int, steps: int) -> Figure:
    """The build of a Dockerfile in which nothing has changed."""
    kinds = ("ENV A{n}={n}", "COPY file.txt C:\\f{n}.txt", "RUN echo {n}> C:\\r{n}.txt", "WORKDIR C:\\w{n}")
    lines = [kinds[number % len(kinds)].format(n=number) for number in range(steps - 1)]
    with context(*lines) as folder:
        first = taken(lambda: linwin("build", "-q", folder))
        image = linwin("build", "-q", folder)
        again = [taken(lambda: linwin("build", "-q", folder)) for _ in range(runs)]
        assert linwin("build", "-q", folder) == image
    note = f"median of {runs}; without a cache it took {first:.1f} s"
    name = f"rebuild of {steps} cached steps"
    return Figure(name, round(statistics.median(again), 3), None, "s", {"max": CACHED_TARGET}, note)


def commit() -> float:
    """What a commit of a container takes that ran the command."""
    name = f"bench-{os.getpid()}"
    linwin("run", "--name", name, IMAGE, *COMMAND)
    try:
        return taken(lambda: linwin("commit", name))
    finally:
        linwin("rm", name)


def run_step(runs: int) -> Figure:
    """A RUN more in a Dockerfile, beside a run, both on the checkpoint."""
    words = '", "'.join(COMMAND)
    with context("ENV A=1") as plain, context("ENV A=1", f'RUN ["{words}"]') as longer:
        linwin("run", "--rm", IMAGE, *COMMAND)
        with_run, without, peer, committing = in_turn(
            runs,
            lambda: taken(lambda: linwin("build", "-q", "--no-cache", longer)),
            lambda: taken(lambda: linwin("build", "-q", "--no-cache", plain)),
            lambda: taken(lambda: linwin("run", "--rm", IMAGE, *COMMAND)),
            commit,
        )
    step = with_run - without
    note = f"medians of {runs}: a RUN {step:.2f} s, a commit {committing:.2f} s"
    name = "RUN of a trivial command without its commit, beside run"
    return Figure(name, round(step - committing, 3), round(peer, 3), "s", {"max": RUN_TARGET}, note)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    figures = [cached(options.runs, options.steps), run_step(options.runs)]
    for figure in figures:
        print(figure.line(), flush=True)
    linwin("builder", "prune", "-a", "-f")
    sys.exit(not all(figure.met for figure in figures))


if __name__ == "__main__":
    main()
