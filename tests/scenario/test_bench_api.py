"""The bench of the API runs, at a small size: what depends on no size and no neighbour's load is met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "bench" / "api.py"


def test_the_api_bench_at_a_small_size() -> None:
    small = ["--runs", "2", "--containers", "20", "--seconds", "1", "--bytes", "20000000"]
    done = subprocess.run([sys.executable, str(SCRIPT), *small], capture_output=True, text=True, timeout=300)
    figures = {figure["figure"]: figure for figure in map(json.loads, done.stdout.splitlines())}
    assert figures.keys() == {
        "a list of 20 containers",
        "CPU of the daemon with 200 waits and 50 event streams",
        "attached output, log driver none",
        "attached output, log driver json-file",
        "linwin ps",
    }, done.stderr
    assert figures["CPU of the daemon with 200 waits and 50 event streams"]["met"]
    assert figures["a list of 20 containers"]["met"]
    for figure in figures.values():
        assert figure.keys() == {"figure", "ours", "peer", "unit", "ratio", "target", "met", "note"}
        assert figure["ours"] > 0 or figure["unit"] == "s in 10 s"
    assert done.returncode == (not all(figure["met"] for figure in figures.values()))
    assert done.stderr == ""
