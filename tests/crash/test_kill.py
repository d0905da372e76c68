"""``kill -9`` at random points of pull, load and chain building never leaves a store that a check faults."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.campaign import Outcome
from tests.crash.daemon import REPOSITORY

ROUNDS = int(os.environ.get("LINWIN_CRASH_ROUNDS") or 100)
LEAST_LANDED = 0.8
SIDE_BY_SIDE = 2
"""Campaigns that share the rounds: each has a root, a registry and a process of its own.

They keep two processors busy; with others beside them, kills would come before what they are to hit."""


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.alone
def test_no_kill_leaves_a_store_that_a_check_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """LINWIN_CRASH_SEED draws the points of an earlier run again."""
    seed = int(os.environ.get("LINWIN_CRASH_SEED") or random.randrange(1 << 32))
    with capsys.disabled():
        print(f"\nLINWIN_CRASH_SEED={seed}")
    shares = [len(range(part, ROUNDS, SIDE_BY_SIDE)) for part in range(SIDE_BY_SIDE)]
    folders = [tmp_path / str(part) for part in range(SIDE_BY_SIDE)]
    campaigns = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.crash.campaign", folder, str(seed + part), str(rounds)],
            cwd=REPOSITORY,
        )
        for part, (folder, rounds) in enumerate(zip(folders, shares, strict=True))
    ]
    assert [process.wait() for process in campaigns] == [0] * SIDE_BY_SIDE
    outcome = Outcome.sum(folders)
    with capsys.disabled():
        print(f"seed {seed}: {outcome}")
    assert outcome.kills.total() == ROUNDS
    assert outcome.landed.total() >= LEAST_LANDED * ROUNDS
