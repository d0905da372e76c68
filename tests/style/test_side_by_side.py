"""Who measures is alone, and gets a turn however busy the others are."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from tests import side_by_side

PATIENCE = 30


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """Not those that this test itself may have been given its turn by."""
    found = (tmp_path / "queue", tmp_path / "machine")
    for place in found:
        place.mkdir()
    return found


def test_who_is_alone_waits_for_the_others_and_keeps_them_out(places: tuple[Path, Path]) -> None:
    inside, leave, entered = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def ordinary() -> None:
        with side_by_side.turn(False, *places):
            inside.set()
            assert leave.wait(PATIENCE)
            order.append("ordinary ends")

    def alone() -> None:
        with side_by_side.turn(True, *places):
            order.append("alone")

    def late() -> None:
        with side_by_side.turn(False, *places):
            order.append("late")
            entered.set()

    first, second, third = (threading.Thread(target=work) for work in (ordinary, alone, late))
    first.start()
    assert inside.wait(PATIENCE)
    second.start()
    until_taken(places[0])  # it has its turn, and waits for who began before it
    third.start()
    assert not entered.wait(0.1), "nobody overtakes it"
    assert order == []
    leave.set()
    for thread in (first, second, third):
        thread.join(PATIENCE)
    assert order == ["ordinary ends", "alone", "late"]


def test_others_run_at_once(places: tuple[Path, Path]) -> None:
    entered = threading.Event()

    def other() -> None:
        with side_by_side.turn(False, *places):
            entered.set()

    thread = threading.Thread(target=other)
    with side_by_side.turn(False, *places):
        thread.start()
        assert entered.wait(PATIENCE)
    thread.join(PATIENCE)


def until_taken(place: Path) -> None:
    file = os.open(place, os.O_RDONLY)
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return
    finally:
        os.close(file)
    pytest.fail("nobody waits")
