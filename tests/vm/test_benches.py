"""The benches run, measure a peer beside ours, and their targets are met."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.vm.conftest import REPOSITORY, Linwin

pytestmark = pytest.mark.alone

NOT_REACHED = {"restored start to spawn, against cold": 0.15}
"""Asked for and not met (docs/decisions/0016): what it must not become worse than."""
NARROWLY = {"pooled start to spawn, against cold": 0.055, "memory of idle clones": 0.37}
"""Met by less than what hosts differ by (docs/decisions/0016, 0021): what they must not become worse than."""
ALLOWED = NOT_REACHED | NARROWLY

FIELDS = {"figure", "ours", "peer", "unit", "ratio", "target", "met", "note"}


OPTIONS = {
    "build": ("--runs", "3"),
    "files": ("--runs", "3", "--files", "500", "--starts", "5"),
    "soak": ("--runs", os.environ.get("LINWIN_SOAK_RUNS", "100"), "--execs", "2000"),
}


@pytest.mark.parametrize(
    "bench",
    ["build", "cli", "exec", "files", "idle", "memory", "net", "soak", "start", "stream"],
)
def test_a_bench_meets_its_target(linwin: Linwin, bench: str) -> None:
    """One that misses is run once more: what else the host does for a moment does not decide."""
    missed = missed_by(linwin, bench)
    if missed:
        again = missed_by(linwin, bench)
        assert not missed.keys() & again.keys(), (missed, again)


def missed_by(linwin: Linwin, bench: str) -> dict[str, Any]:
    """The figures of one run that are worse than they may be, by name."""
    words = [sys.executable, str(REPOSITORY / "bench" / f"{bench}.py"), *OPTIONS.get(bench, ())]
    done = subprocess.run(words, env=linwin.environment, capture_output=True, text=True, timeout=2400)
    figures = {figure["figure"]: figure for figure in map(json.loads, done.stdout.splitlines())}
    assert figures, done.stderr
    for figure in figures.values():
        assert figure.keys() == FIELDS
        if figure["peer"] is not None:
            assert figure["ratio"] == pytest.approx(figure["ours"] / figure["peer"], rel=0.01)
    assert done.returncode == (not all(figure["met"] for figure in figures.values()))
    return {
        name: figure
        for name, figure in figures.items()
        if not figure["met"] and not (figure["ratio"] or 0) <= ALLOWED.get(name, -1)
    }


def test_a_guest_that_waits_starts_at_once(pooled: Linwin) -> None:
    test_a_bench_meets_its_target(pooled, "pool")


def test_the_import_bench_at_a_small_size(tmp_path: Path) -> None:
    """What depends on no size is met; how fast we are beside the peers shows on large layers only."""
    script = REPOSITORY / "bench" / "import_layer.py"
    small = ["--runs", "1", "--files", "2000", "--bytes", "40000000", "--work", str(tmp_path)]
    done = subprocess.run([sys.executable, str(script), *small], capture_output=True, text=True, timeout=600)
    figures = {figure["figure"]: figure for figure in map(json.loads, done.stdout.splitlines())}
    assert figures.keys() == {
        "import of 2000 files, beside wimlib-imagex apply",
        "import of 2000 files, beside tar into an ntfs-3g mount",
        "memory for 2000 files",
        "import of 20000 small files, beside 10 times that of 2000",
        "memory for 20000 files",
        "disk that a small layer takes",
        "import of a small layer",
    }, done.stderr
    for name, figure in figures.items():
        assert figure.keys() == FIELDS
        assert figure["ours"] > 0
        assert figure["met"] or "beside w" in name or "beside tar" in name, figure
    assert done.returncode == (not all(figure["met"] for figure in figures.values()))


def test_every_bench_is_tried() -> None:
    shared = {"bare", "daemon", "fake_daemon", "figures", "hand_made", "layer_tar", "shared_guest"}
    scripts = {path.stem for path in (REPOSITORY / "bench").glob("*.py")} - shared
    # That of the API needs no guest: tests/scenario/test_bench_api.py.
    tried = {"api", "cli", "exec", "files", "idle", "import_layer", "memory", "net", "pool", "soak"}
    assert scripts == tried | {"build", "commit", "start", "stream"}


def test_a_missed_target_is_not_met() -> None:
    sys.path.insert(0, str(Path(REPOSITORY / "bench")))
    try:
        from figures import Figure
    finally:
        sys.path.pop(0)
    assert not Figure("x", 2.0, 1.0, "s", {"max": 1.5}).met
    assert Figure("x", 1.4, 1.0, "s", {"max": 1.5}).met
    assert not Figure("x", 2.0, None, "s", {"min": 3}).met
    assert Figure("x", 2.0, None, "s", {"min": 2}).met


def test_the_commit_bench_at_a_small_size(tmp_path: Path) -> None:
    """A change takes what it takes whatever lies beside it; what a comparison takes does not show here."""
    script = REPOSITORY / "bench" / "commit.py"
    small = ["--runs", "1", "--files", "2000", "--work", str(tmp_path)]
    done = subprocess.run([sys.executable, str(script), *small], capture_output=True, text=True, timeout=600)
    beside, alone, read = map(json.loads, done.stdout.splitlines())
    assert beside["ratio"] == pytest.approx(beside["ours"] / beside["peer"], rel=0.01)
    assert (alone["unit"], read["unit"]) == ("s", "MB")
    assert alone["met"], alone
    assert read["met"], read
