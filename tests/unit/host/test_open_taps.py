"""Open taps that another program is to have, and processes found by their words."""

from __future__ import annotations

import os
import subprocess

import pytest

from linwin.host.pidfd import find_with_words
from linwin.host.taps import let_go, name_of
from linwin.network import taps
from tests.processes import waiting


@pytest.mark.root
def test_a_tap_that_is_let_go_is_opened_by_another() -> None:
    name = f"lwx{os.getpid() % 100000}"
    taps.create(name, 0)
    try:
        first = taps.open_tap(name)
        assert name_of(first) == name
        with pytest.raises(OSError, match="busy"):
            taps.open_tap(name)
        let_go(first)
        os.close(taps.open_tap(name))
        assert os.path.realpath(f"/proc/self/fd/{first}") == os.devnull
        os.close(first)
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True)


def test_a_process_is_found_by_words_that_follow_each_other() -> None:
    mine = f"of {os.getpid()}"
    with waiting("-uuid", mine) as pid:
        assert find_with_words("-uuid", mine, uid=os.geteuid()) == [pid]
        assert find_with_words("-uuid", mine + "0", uid=os.geteuid()) == []
    assert find_with_words("-uuid", mine, uid=os.geteuid()) == []


@pytest.mark.root
def test_what_another_user_says_is_not_believed() -> None:
    mine, nobody = f"of {os.getpid()}", 65534
    with waiting("-uuid", mine, user=nobody) as theirs, waiting("-uuid", mine) as ours:
        assert find_with_words("-uuid", mine, uid=os.geteuid()) == [ours]
        assert find_with_words("-uuid", mine, uid=nobody) == [theirs]
