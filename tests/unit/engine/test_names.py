"""Names, ids, host users and signals."""

from __future__ import annotations

import re

import pytest

from linwin.engine import names, signals
from linwin.engine.create import UID_BASE, UIDS_PER_ROOT, free_uid, installer_uid, maker_uid
from linwin.errors import Conflict, InvalidRequest


@pytest.mark.parametrize("name", ["web", "/web", "a1", "A_b.c-d"])
def test_good_names(name: str) -> None:
    assert names.check(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "a", "-a", ".a", "a b", "a/b", "ä1", "a\n"])
def test_bad_names(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        names.check(name)
    assert caught.value.message == (
        f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )


def test_invented_names_are_good_and_free() -> None:
    everyone = {f"{quality}_{pioneer}" for quality in names.QUALITIES for pioneer in names.PIONEERS}
    assert names.check(names.invent(set())) in everyone
    assert names.check(names.invent(everyone)) not in everyone


def test_ids_are_64_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{64}", names.new_id())


def test_host_users_are_per_root_and_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    first = free_uid("00010000", [])
    assert first == UID_BASE + UIDS_PER_ROOT
    assert free_uid("00010000", [first]) == first + 1
    assert free_uid("00020000", []) == first + UIDS_PER_ROOT
    with pytest.raises(Conflict, match="all 9998 containers that one LINWIN_ROOT can hold exist"):
        free_uid("00010000", range(first, installer_uid("00010000")))
    assert installer_uid("00010000") == maker_uid("00010000") - 1 == free_uid("00020000", []) - 2
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert free_uid("00010000", []) == installer_uid("00010000") == maker_uid("00010000") == 0


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("", "KILL"),
        ("9", "KILL"),
        ("SIGTERM", "TERM"),
        ("term", "TERM"),
        ("sigint", "INT"),
        ("QUIT", "BREAK"),
    ],
)
def test_signals(name: str, meaning: str) -> None:
    assert signals.parse(name) == meaning


def test_a_signal_that_windows_does_not_know() -> None:
    with pytest.raises(InvalidRequest) as caught:
        signals.parse("SIGWINCH")
    assert str(caught.value) == (
        "invalid signal: SIGWINCH\nA Windows container takes TERM, KILL, INT, QUIT and BREAK."
    )
