"""The benches run, measure a peer beside ours, and their targets are met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vm.conftest import REPOSITORY, Linwin

FIELDS = {"figure", "ours", "peer", "unit", "ratio", "target", "met", "note"}


@pytest.mark.parametrize("bench", ["cli", "start"])
def test_a_bench_meets_its_target(linwin: Linwin, bench: str) -> None:
    script = REPOSITORY / "bench" / f"{bench}.py"
    done = subprocess.run(
        [sys.executable, str(script)], env=linwin.environment, capture_output=True, text=True, timeout=1200
    )
    figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert figures, done.stderr
    for figure in figures:
        assert figure.keys() == FIELDS
        assert figure["ratio"] == pytest.approx(figure["ours"] / figure["peer"], rel=0.01)
        assert figure["met"], figure
    assert done.returncode == 0


def test_every_bench_is_tried() -> None:
    scripts = {path.stem for path in (REPOSITORY / "bench").glob("*.py")} - {"figures"}
    assert scripts == {"cli", "start"}


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
