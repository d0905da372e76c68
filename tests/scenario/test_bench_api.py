"""The bench of the API runs, at a small size, and what we promise of it is met in proportion."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "api.py"
CONTAINERS = 200
"""The 1,000 of the target take half a minute to start; 200 take three seconds."""
LIST_CPU = 2 * 0.05 * CONTAINERS / 1000
"""Seconds of CPU for a list: twice the target's part for so many, since also CPU time grows under load.

The target itself is of time that passes, which says on a busy host how busy it is.
"""
CPU = re.compile(r"each takes ([\d.]+) s of the daemon's CPU")
ATTACH_FLOOR = 50.0
"""MB/s, a tenth of what is seen without load."""


@pytest.mark.alone
def test_the_api_bench_at_a_small_size() -> None:
    """One that misses is run once more: what else the host does for a moment does not decide."""
    missed = missed_by()
    if missed:
        again = missed_by()
        assert not missed.keys() & again.keys(), (missed, again)


def missed_by() -> dict[str, Any]:
    """The figures of one run that are worse than they may be, by name."""
    listing = f"a list of {CONTAINERS} containers"
    idle = "CPU of the daemon with 200 waits and 50 event streams"
    attached = "attached output, log driver none"
    # In one second a single tick of the CPU's clock would be more than the daemon may take.
    small = ["--runs", "5", "--containers", str(CONTAINERS), "--seconds", "2", "--bytes", "20000000"]
    done = subprocess.run([sys.executable, str(SCRIPT), *small], capture_output=True, text=True, timeout=300)
    figures = {figure["figure"]: figure for figure in map(json.loads, done.stdout.splitlines())}
    assert figures.keys() == {
        listing,
        idle,
        attached,
        "attached output, log driver json-file",
        f"linwin ps of {CONTAINERS} containers",
        "linwin ps",
    }, done.stderr
    for figure in figures.values():
        assert figure.keys() == {"figure", "ours", "peer", "unit", "ratio", "target", "met", "note"}
        assert figure["ours"] > 0 or figure["unit"] == "s in 10 s"
    assert done.returncode == (not all(figure["met"] for figure in figures.values()))
    assert done.stderr == ""
    cpu = CPU.search(figures[listing]["note"])
    assert cpu, figures[listing]
    good = {
        listing: float(cpu[1]) <= LIST_CPU,
        idle: figures[idle]["met"],
        attached: figures[attached]["ours"] >= ATTACH_FLOOR,
    }
    return {name: figures[name] for name in good if not good[name]}
