"""What a start says of its phases."""

from __future__ import annotations

import itertools

import pytest

from linwin.engine.phases import Phases


def test_phases_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linwin.engine.phases.time.monotonic", itertools.accumulate([5, 0.02, 0.5]).__next__)
    phases = Phases()
    phases.mark("overlay")
    phases.mark("guest")
    assert str(phases) == "520 ms: overlay 20, guest 500"
    assert phases.taken == [("overlay", pytest.approx(0.02)), ("guest", pytest.approx(0.5))]
    assert phases.total == pytest.approx(0.52)
