"""The rules of restart policies, with plain values."""

from __future__ import annotations

import dataclasses

import pytest

from linwin.engine import policy
from linwin.model.container import Status
from linwin.model.restart import PolicyName, RestartPolicy
from tests.unit.state.test_database import container


@pytest.mark.parametrize(
    ("name", "retries", "code", "count", "by_hand", "wanted"),
    [
        ("no", 0, 1, 0, False, False),
        ("always", 0, 0, 99, True, True),
        ("unless-stopped", 0, 0, 99, False, True),
        ("unless-stopped", 0, 0, 0, True, False),
        ("on-failure", 0, 0, 0, False, False),
        ("on-failure", 0, 1, 99, False, True),
        ("on-failure", 2, 1, 1, False, True),
        ("on-failure", 2, 1, 2, False, False),
        ("on-failure", 0, 1, 0, True, False),
    ],
)
def test_what_is_started_again(
    name: PolicyName, retries: int, code: int, count: int, by_hand: bool, wanted: bool
) -> None:
    ended = container("a", "pet")
    spec = dataclasses.replace(ended.spec, restart=RestartPolicy(name, retries))
    ended = dataclasses.replace(ended, spec=spec, restart_count=count, stopped_by_hand=by_hand)
    assert policy.wanted(ended, code) is wanted


@pytest.mark.parametrize(
    ("last", "ran", "delay"),
    [(0, 0, 0.1), (0.1, 9.9, 0.2), (40, 1, 60), (60, 1, 60), (60, 10, 0.1)],
)
def test_waits(last: float, ran: float, delay: float) -> None:
    assert policy.next_delay(last, ran) == delay


@pytest.mark.parametrize(
    ("status", "count", "between"),
    [("restarting", 0, True), ("starting", 1, True), ("starting", 0, False), ("running", 3, False)],
)
def test_what_is_between_two_runs(status: Status, count: int, between: bool) -> None:
    found = dataclasses.replace(container("a", "pet"), status=status, restart_count=count)
    assert policy.under_way(found) is between
