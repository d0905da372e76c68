"""``kill -9`` at random points of pull, load and chain building never leaves a store that a check faults."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.conftest import adopt_orphans
from tests.crash import campaign

ROUNDS = int(os.environ.get("LINWIN_CRASH_ROUNDS") or 100)
LEAST_LANDED = 0.8
SIDE_BY_SIDE = 2
"""Campaigns that share the rounds: each has a root, a registry and a process of its own."""


@pytest.mark.root
@pytest.mark.slow
def test_no_kill_leaves_a_store_that_a_check_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LINWIN_CRASH_SEED draws the points of an earlier run again."""
    seed = int(os.environ.get("LINWIN_CRASH_SEED") or random.randrange(1 << 32))
    with capsys.disabled():
        print(f"\nLINWIN_CRASH_SEED={seed}")
    outcome = campaign.Outcome()
    with ProcessPoolExecutor(SIDE_BY_SIDE, get_context("spawn"), adopt_orphans) as pool:
        shares = [len(range(part, ROUNDS, SIDE_BY_SIDE)) for part in range(SIDE_BY_SIDE)]
        folders = [tmp_path / str(part) for part in range(SIDE_BY_SIDE)]
        seeds = range(seed, seed + SIDE_BY_SIDE)
        for part in pool.map(campaign.run, folders, seeds, shares):
            outcome.add(part)
    with capsys.disabled():
        print(f"seed {seed}: {outcome}")
    assert outcome.kills.total() == ROUNDS
    assert outcome.landed.total() >= LEAST_LANDED * ROUNDS
